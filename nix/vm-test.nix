# A NixOS machine that runs the bridge as the module sets it up: `nix flake check`, or
# `nix build 'git+file:.?dir=nix#checks.x86_64-linux.vm'`. Pomerium and Mattermost are the demo's
# stand-ins, so that it needs no network.
{ module }:
{
  name = "auth-manager";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ module ];

      services.postgresql = {
        enable = true;
        ensureDatabases = [ "auth-manager" ];
        ensureUsers = [
          {
            name = "auth-manager";
            ensureDBOwnership = true;
          }
        ];
      };

      # What sops-nix would decrypt: root's own files.
      systemd.services.secrets = {
        wantedBy = [ "multi-user.target" ];
        before = [ "auth-manager.service" ];
        requiredBy = [ "auth-manager.service" ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          UMask = "0077";
        };
        script = ''
          mkdir -p /run/secrets
          ${pkgs.openssl}/bin/openssl rand -base64 32 > /run/secrets/master.key
          ${pkgs.openssl}/bin/openssl rand -hex 13 > /run/secrets/bot.token
          echo 'postgresql:///auth-manager?user=auth-manager&host=/run/postgresql' > /run/secrets/postgres.url
        '';
      };

      services.auth-manager = {
        enable = true;
        listenStreams = [ "127.0.0.1:8443" ];
        credentials = {
          "master.key" = "/run/secrets/master.key";
          "bot.token" = "/run/secrets/bot.token";
          "postgres.url" = "/run/secrets/postgres.url";
        };
        settings = {
          # Without TLS only loopback is served, wherever the socket comes from.
          listen.proxy.address = "127.0.0.1:8443";
          store.postgres.url.credential = "postgres.url";
          keys.master_key.credential = "master.key";
          issuers = [
            {
              id = "pomerium";
              jwks.file = "/etc/auth-manager/jwks.json";
            }
          ];
          apps = [
            {
              id = "chat";
              kind = "mattermost";
              host = "chat.example.com";
              upstream = "http://127.0.0.1:8065";
              access.everyone = true;
              mattermost.bot_token.credential = "bot.token";
            }
          ];
        };
      };
      environment.etc."auth-manager/jwks.json".text = builtins.toJSON {
        keys = [
          {
            kty = "EC";
            crv = "P-256";
            alg = "ES256";
            use = "sig";
            kid = "test";
            # A point of nobody's: RFC 7515, appendix A.3.
            x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
            y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
          }
        ];
      };
      environment.systemPackages = [ pkgs.curl ];
    };

  testScript = ''
    health = "curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8443/.auth-manager/health"

    machine.wait_for_unit("auth-manager.socket")
    machine.wait_for_unit("auth-manager.service")

    with subtest("it serves on systemd's socket, from PostgreSQL, and says so"):
        assert machine.succeed(health) == "200"
        assert "serving, apps: 1" in machine.succeed("systemctl status auth-manager")
        machine.succeed("curl -sSf http://127.0.0.1:9464/readyz")

    with subtest("nobody comes in without an assertion"):
        code = machine.succeed(
            "curl -sS -o /dev/null -w '%{http_code}' -H 'Host: chat.example.com' http://127.0.0.1:8443/"
        )
        assert code == "401", code

    with subtest("the sandbox is tight, and the secrets stay root's"):
        machine.succeed("systemd-analyze security --threshold=20 auth-manager.service")
        assert machine.succeed("stat -c %U%a /run/secrets/master.key").strip() == "root600"

    with subtest("a restart refuses no connection"):
        machine.succeed(
            "(for i in $(seq 60); do " + health + " || exit 1; done) > /tmp/codes 2> /tmp/errors & "
            "systemctl restart auth-manager; systemctl restart auth-manager; wait $!"
        )
        assert set(machine.succeed("cat /tmp/codes").split("200")) == {""}

    with subtest("a reload is one, and a hang is noticed"):
        machine.succeed("systemctl reload auth-manager")
        pid = machine.succeed("systemctl show -P MainPID auth-manager").strip()
        machine.succeed("kill -STOP " + pid)
        machine.wait_until_succeeds(
            "test $(systemctl show -P MainPID auth-manager) != " + pid, timeout=120
        )
        machine.wait_for_unit("auth-manager.service")
        assert machine.succeed(health) == "200"

    with subtest("backup and restore"):
        run = "cd /var/lib/auth-manager && sudo -u auth-manager env CREDENTIALS_DIRECTORY=/run/am auth-manager "
        machine.succeed("install -d -o auth-manager -m 0700 /run/am")
        machine.succeed("install -o auth-manager -m 0400 /run/secrets/* /run/am/")
        machine.succeed(run + "backup one.backup")
        machine.fail(run + "restore one.backup --replace")
        machine.succeed("systemctl stop auth-manager.socket auth-manager.service")
        machine.succeed(run + "restore one.backup --replace")
        machine.succeed("systemctl start auth-manager.socket auth-manager.service")
        machine.wait_for_unit("auth-manager.service")

    with subtest("the whole road, with stand-ins"):
        machine.succeed("systemd-run --unit demo auth-manager demo --port 8700")
        machine.wait_until_succeeds("curl -sSf http://127.0.0.1:8700/ -o /dev/null")
  '';
}
