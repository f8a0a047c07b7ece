# services.auth-manager: the bridge as a NixOS service, with the sandbox and the socket of
# config/systemd. Settings are those of config/auth-manager.toml, typed; secrets are credentials.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.services.auth-manager;
  toml = pkgs.formats.toml { };

  # Unset keys and empty tables say nothing, and an empty table would say something in TOML.
  said =
    value:
    if lib.isAttrs value then
      lib.filterAttrs (_: inner: inner != null && inner != { } && inner != [ ]) (
        lib.mapAttrs (_: said) value
      )
    else if lib.isList value then
      map said value
    else
      value;

  file = toml.generate "auth-manager.toml" (said cfg.settings);
in
{
  options.services.auth-manager = {
    enable = lib.mkEnableOption "auth-manager, single sign-on for apps behind Pomerium";

    package = mkOption {
      type = types.package;
      default = pkgs.auth-manager;
      defaultText = lib.literalExpression "pkgs.auth-manager";
      description = "The program: from this repository's overlay.";
    };

    settings = mkOption {
      type = types.submodule {
        freeformType = toml.type;
        options = import ./options.nix { inherit lib; };
      };
      default = { };
      description = ''
        Keys of auth-manager.toml, under the file's own names; config/auth-manager.toml says what
        each does. They are readable by everybody on this machine: secrets are named, never written.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf (types.strMatching "/.*");
      default = { };
      example = {
        "master.key" = "/run/secrets/auth-manager/master.key";
        "bot.token" = "/run/secrets/auth-manager/bot.token";
      };
      description = ''
        Files of secrets by credential name, handed over by systemd (LoadCredential=). The files may
        be root's. A changed file is taken up by a restart.
      '';
    };

    listenStreams = mkOption {
      type = types.listOf types.str;
      default = [ "8443" ];
      description = ''
        Where Pomerium reaches the bridge: ports or addresses, held by systemd, so that a restart
        refuses no connection. Empty: the service binds `settings.listen.proxy.address` itself.
      '';
    };

    apiListenStreams = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "8444" ];
      description = "The same for the api listener.";
    };

    authentik = {
      url = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "https://auth-manager.internal:8444/hooks/authentik";
        description = "Where Authentik's worker reaches the api listener, for `authentik.blueprint`.";
      };
      secretFile = mkOption {
        type = types.strMatching "/.*";
        default = "/run/secrets/auth-manager-hooks";
        description = "The webhooks' secret, as Authentik's worker sees it; the same text as `settings.directories.*.hooks.secrets`.";
      };
      authority = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The name of a certificate in Authentik (2026.5 and later) that signed the listener's.";
      };
      blueprint = mkOption {
        type = types.package;
        readOnly = true;
        default = pkgs.writeText "auth-manager-webhook.yaml" (
          import ./blueprint.nix { inherit (cfg.authentik) url secretFile authority; }
        );
        defaultText = lib.literalMD "config/authentik/blueprint.yaml with these values";
        description = "The blueprint that makes Authentik send webhooks: link it into its /blueprints.";
      };
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Open the ports of `listenStreams` and `apiListenStreams` in the firewall.";
    };

    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = { AUTH_MANAGER_LOG = "info,auth_manager=debug"; };
      description = "Variables of the service: the log filter, and the number of threads.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.settings.issuers != [ ] && cfg.settings.apps != [ ];
        message = "services.auth-manager.settings needs issuers and apps.";
      }
      {
        assertion = !(cfg.settings.store.sqlite != null && (said cfg.settings.store.postgres) != { });
        message = "services.auth-manager.settings.store: sqlite or postgres, not both.";
      }
      {
        assertion = lib.all (port: lib.match "[0-9]+|.*:[0-9]+" port != null) (
          cfg.listenStreams ++ cfg.apiListenStreams
        );
        message = "services.auth-manager: sockets are TCP ports or addresses with one.";
      }
    ];

    users.users.auth-manager = {
      isSystemUser = true;
      group = "auth-manager";
      home = "/var/lib/auth-manager";
    };
    users.groups.auth-manager = { };

    environment.systemPackages = [ cfg.package ];
    # Where commands look for it without being told.
    environment.etc."auth-manager/auth-manager.toml".source = file;

    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall (
      map (stream: lib.toInt (lib.last (lib.splitString ":" stream))) (
        cfg.listenStreams ++ cfg.apiListenStreams
      )
    );

    systemd.sockets = lib.mkMerge [
      (mkIf (cfg.listenStreams != [ ]) {
        auth-manager = {
          description = "auth-manager, where Pomerium reaches it";
          wantedBy = [ "sockets.target" ];
          inherit (cfg) listenStreams;
          socketConfig = {
            FileDescriptorName = "proxy";
            Backlog = 4096;
            NoDelay = true;
            KeepAlive = true;
          };
        };
      })
      (mkIf (cfg.apiListenStreams != [ ]) {
        auth-manager-api = {
          description = "auth-manager, where services reach it";
          wantedBy = [ "sockets.target" ];
          listenStreams = cfg.apiListenStreams;
          socketConfig = {
            Service = "auth-manager.service";
            FileDescriptorName = "api";
            Backlog = 1024;
            NoDelay = true;
            KeepAlive = true;
          };
        };
      })
    ];

    systemd.services.auth-manager =
      let
        sockets =
          lib.optional (cfg.listenStreams != [ ]) "auth-manager.socket"
          ++ lib.optional (cfg.apiListenStreams != [ ]) "auth-manager-api.socket";
      in
      {
        description = "auth-manager, single sign-on for apps behind Pomerium";
        wantedBy = [ "multi-user.target" ];
        after = [
          "network-online.target"
          "postgresql.service"
        ]
        ++ sockets;
        wants = [ "network-online.target" ];
        requires = sockets;
        # Not a reload: listeners, store and keys change with a restart only, and the sockets stay.
        restartTriggers = [ file ];
        startLimitIntervalSec = 0;
        inherit (cfg) environment;
        serviceConfig = (import ./hardening.nix) // {
          Type = "notify";
          NotifyAccess = "main";
          ExecStart = "${lib.getExe cfg.package} serve --config /etc/auth-manager/auth-manager.toml";
          ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
          Restart = "on-failure";
          RestartSec = 2;
          RestartPreventExitStatus = 78;
          WatchdogSec = 30;
          TimeoutStartSec = "10min";
          TimeoutStopSec = 60;
          User = "auth-manager";
          Group = "auth-manager";
          StateDirectory = "auth-manager";
          StateDirectoryMode = "0700";
          LoadCredential = lib.mapAttrsToList (name: path: "${name}:${path}") cfg.credentials;
        };
      };
  };
}
