# The names of nix/options.nix as paths, without nixpkgs: only what options are made of is played.
let
  leaf = { sub = null; };
  lib = {
    mkOption = option: option;
    types = {
      str = leaf;
      bool = leaf;
      anything = leaf;
      ints.unsigned = leaf;
      enum = _: leaf;
      strMatching = _: leaf;
      either = _: _: leaf;
      nullOr = type: type;
      listOf = type: type;
      attrsOf = type: type;
      # A table of the file is open; where a secret or a key set is, is one value.
      submodule = module: { sub = if module ? freeformType then module.options else null; };
    };
  };
  paths =
    prefix: options:
    builtins.concatLists (
      builtins.attrValues (
        builtins.mapAttrs (
          name: option:
          [ (prefix + name) ] ++ (if option.type.sub == null then [ ] else paths "${prefix}${name}." option.type.sub)
        ) options
      )
    );
in
paths "" (import ../../nix/options.nix { inherit lib; })
