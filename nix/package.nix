# The program, from this repository. Needs a rustc as new as `rust-version` in Cargo.toml.
{
  lib,
  rustPlatform,
}:
rustPlatform.buildRustPackage {
  pname = "auth-manager";
  version = (lib.importTOML ../Cargo.toml).package.version;

  # What it is built from, so that a changed README builds nothing anew.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../askama.toml
      ../benches
      ../config
      ../src
      ../tests
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  # They need PostgreSQL, Chromium and Envoy: tests/run runs them. vm-test.nix tries the package.
  doCheck = false;

  postInstall = ''
    mkdir -p $out/share/auth-manager
    cp -r config/. $out/share/auth-manager/
  '';

  meta = {
    description = "Single sign-on, provisioning and deprovisioning for apps whose free edition has none, behind Pomerium";
    license = lib.licenses.asl20;
    mainProgram = "auth-manager";
    platforms = lib.platforms.linux;
  };
}
