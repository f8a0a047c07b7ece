# A whole machine: Pomerium in front, the bridge, Mattermost Team Edition behind it, every secret by
# sops-nix (https://github.com/Mic92/sops-nix). Import it beside sops-nix's module and this
# repository's, and put your names in. Nothing secret is in the Nix store: sops decrypts at start
# into /run/secrets, and systemd hands each file to the one service that needs it.
#
# secrets.yaml, made by `sops secrets.yaml`:
#
#   auth-manager:
#     master.key: (openssl rand -base64 32)
#     bot.token: (from mmctl, see README.md)
#     server-key.pem: |
#       …
#   pomerium:
#     env: |
#       SHARED_SECRET=…   COOKIE_SECRET=…   IDP_CLIENT_SECRET=…   (one a line)
#     signing-key.pem: |
#       …
#     client-key.pem: |
#       …
{ config, ... }:
let
  chat = "chat.example.com";
  auth = "auth.example.com";
  secret = name: config.sops.secrets.${name}.path;
in
{
  sops = {
    defaultSopsFile = ./secrets.yaml;
    secrets = {
      # Credentials: root's files, restarted when they change.
      "auth-manager/master.key".restartUnits = [ "auth-manager.service" ];
      "auth-manager/bot.token".restartUnits = [ "auth-manager.service" ];
      # Read again by the bridge itself when it changes.
      "auth-manager/server-key.pem".owner = "auth-manager";
      "pomerium/env".restartUnits = [ "pomerium.service" ];
      "pomerium/signing-key.pem".restartUnits = [ "pomerium.service" ];
      "pomerium/client-key.pem".restartUnits = [ "pomerium.service" ];
    };
  };

  services.auth-manager = {
    enable = true;
    # On one machine loopback would do, and plain HTTP; this is ready for two.
    listenStreams = [ "127.0.0.1:8443" ];
    credentials = {
      "master.key" = secret "auth-manager/master.key";
      "bot.token" = secret "auth-manager/bot.token";
    };
    settings = {
      listen.proxy = {
        address = "127.0.0.1:8443";
        tls = {
          certificate = "/etc/auth-manager/certs/server.pem";
          key = secret "auth-manager/server-key.pem";
          client_ca = "/etc/auth-manager/certs/ca.pem";
          client_names = [ "pomerium.internal" ];
        };
      };
      keys.master_key.credential = "master.key";
      issuers = [
        {
          id = "pomerium";
          jwks.url = "https://${chat}/.well-known/pomerium/jwks.json";
        }
      ];
      apps = [
        {
          id = "chat";
          kind = "mattermost";
          host = chat;
          upstream = "http://127.0.0.1:8065";
          access.any_of = [ "mattermost-users" ];
          mattermost = {
            bot_token.credential = "bot.token";
            team = "main";
          };
        }
      ];
      portal.contact = "help@example.com";
    };
  };
  # The public halves: no secrets.
  environment.etc."auth-manager/certs/server.pem".source = ./certs/server.pem;
  environment.etc."auth-manager/certs/ca.pem".source = ./certs/ca.pem;
  networking.hosts."127.0.0.1" = [ "bridge.internal" ];

  # The route of config/pomerium.yaml, which explains each key.
  services.pomerium = {
    enable = true;
    secretsFile = secret "pomerium/env";
    settings = {
      address = ":443";
      authenticate_service_url = "https://${auth}";
      signing_key_file = "/run/credentials/pomerium.service/signing-key.pem";
      idp_provider = "oidc";
      idp_provider_url = "https://id.example.com/application/o/pomerium/";
      idp_client_id = "pomerium";
      idp_scopes = [
        "openid"
        "profile"
        "email"
        "offline_access"
      ];
      cookie_expire = "14h";
      signout_redirect_url = "https://www.example.com/";
      jwt_claims_headers = {
        X-Pomerium-Claim-Preferred-Username = "preferred_username";
        X-Pomerium-Claim-Email-Verified = "email_verified";
        X-Pomerium-Claim-Given-Name = "given_name";
        X-Pomerium-Claim-Family-Name = "family_name";
        X-Pomerium-Claim-Locale = "locale";
      };
      routes = [
        {
          from = "https://${chat}";
          to = "https://bridge.internal:8443";
          pass_identity_headers = true;
          preserve_host_header = true;
          allow_websockets = true;
          tls_custom_ca_file = "/etc/auth-manager/certs/ca.pem";
          tls_client_cert_file = "/etc/pomerium/client.pem";
          tls_client_key_file = "/run/credentials/pomerium.service/client-key.pem";
          policy = [ { allow.or = [ { authenticated_user = true; } ]; } ];
        }
      ];
    };
  };
  environment.etc."pomerium/client.pem".source = ./certs/client.pem;
  systemd.services.pomerium.serviceConfig.LoadCredential = [
    "signing-key.pem:${secret "pomerium/signing-key.pem"}"
    "client-key.pem:${secret "pomerium/client-key.pem"}"
  ];
}
