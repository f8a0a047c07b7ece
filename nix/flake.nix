# nix build 'git+file:.?dir=nix'        the program
# nix flake check 'git+file:.?dir=nix'  the VM test, too
# nix develop 'git+file:.?dir=nix'      a shell with what tests/run needs
{
  description = "auth-manager: single sign-on for apps behind Pomerium";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each =
        make:
        nixpkgs.lib.genAttrs systems (
          system:
          make (
            import nixpkgs {
              inherit system;
              overlays = [ self.overlays.default ];
            }
          )
        );
    in
    {
      overlays.default = final: _: { auth-manager = final.callPackage ./package.nix { }; };

      nixosModules.default = {
        imports = [ ./module.nix ];
        nixpkgs.overlays = [ self.overlays.default ];
      };
      nixosModules.auth-manager = self.nixosModules.default;

      packages = each (pkgs: {
        default = pkgs.auth-manager;
        inherit (pkgs) auth-manager;
      });

      checks = each (pkgs: {
        package = pkgs.auth-manager;
        vm = pkgs.testers.runNixOSTest (import ./vm-test.nix { module = self.nixosModules.default; });
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            cargo
            chromedriver
            chromium
            clippy
            envoy
            nix
            postgresql
            rustc
            rustfmt
            systemd
          ];
          AUTH_MANAGER_TEST_FAKETIME = "${pkgs.libfaketime}/lib/libfaketimeMT.so.1";
          AUTH_MANAGER_TEST_PG_BIN = "${pkgs.postgresql}/bin";
          ENVOY = "${pkgs.envoy}/bin/envoy";
        };
      });

      formatter = each (pkgs: pkgs.nixfmt-rfc-style);
    };
}
