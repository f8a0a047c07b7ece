# config/authentik/blueprint.yaml with your own address and file: a text, for Authentik's worker to find
# in /blueprints. Nothing secret is in it, only where the secret lies.
{
  # Where Authentik's worker reaches auth-manager's api listener.
  url,
  # The file that holds the secret, as the worker sees it.
  secretFile,
  # The name of a certificate in Authentik that signed the listener's; null: a public authority did.
  authority ? null,
}:
let
  shipped = builtins.readFile ../config/authentik/blueprint.yaml;
  ca = "      # webhook_ca: !Find [authentik_crypto.certificatekeypair, [name, my-authority]]";
  own = "      webhook_ca: !Find [authentik_crypto.certificatekeypair, [name, ${builtins.toJSON authority}]]";
in
assert builtins.match "https?://[A-Za-z0-9._:/-]+/hooks/authentik" url != null;
assert builtins.match "/[A-Za-z0-9._/-]+" secretFile != null;
builtins.replaceStrings
  [
    "https://auth-manager.internal:8444/hooks/authentik"
    "!File /run/secrets/auth-manager-hooks"
    ca
  ]
  [
    url
    "!File ${secretFile}"
    (if authority == null then ca else own)
  ]
  shipped
