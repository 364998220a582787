# As much of nixpkgs as our expressions use, for machines where it is not to be had: functions of lib as they are
# there; pkgs whose derivations are the attributes they were made of, and whose files are where we say.
{
  # stands for the files that derivations would make
  store ? "/stub",
  system ? "x86_64-linux",
}:

let
  lib = rec {
    importJSON = path: builtins.fromJSON (builtins.readFile path);
    toList = value: if builtins.isList value then value else [ value ];
    last = list: builtins.elemAt list (builtins.length list - 1);
    splitString = separator: text: builtins.filter builtins.isString (builtins.split separator text);
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    concatStringsSep = builtins.concatStringsSep;
    escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";
    filterAttrs =
      keep: set:
      removeAttrs set (builtins.filter (name: !(keep name set.${name})) (builtins.attrNames set));
    mapAttrsToList = make: set: map (name: make name set.${name}) (builtins.attrNames set);
    genAttrs =
      names: make:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = make name;
        }) names
      );
    fileset = {
      unions = files: map (file: assert builtins.pathExists file; toString file) files;
      toSource =
        { root, fileset }:
        {
          root = toString root;
          files = fileset;
        };
    };
    licenses.mit = "mit";
    sourceTypes = {
      fromSource = "source";
      binaryNativeCode = "binary";
    };

    # modules
    mkOption = option: option // { isOption = true; };
    mkEnableOption =
      description:
      mkOption {
        inherit description;
        default = false;
        type = types.bool;
      };
    mkIf = condition: content: {
      parts = if condition then [ content ] else [ ];
    };
    mkMerge = contents: { parts = contents; };
    mkDefault = content: { fallback = content; };
    literalExpression = text: text;
    literalMD = text: text;
    types = {
      bool = "bool";
      package = "package";
      str = "str";
      nullOr = type: "null or ${type}";
    };
  };

  pkgs = {
    inherit lib;
    stdenv = {
      hostPlatform = { inherit system; };
      buildPlatform.canExecute = _: true;
      mkDerivation =
        attributes: attributes // { outPath = "${store}/${attributes.pname}"; };
    };
    cacert = "cacert";
    installShellFiles = "installShellFiles";
    nodejs_24 = "nodejs";
    patchelf = "patchelf";
    formats.json = _: {
      type = "json";
      generate = name: value: {
        outPath = "${store}/${name}";
        inherit value;
      };
    };
    runCommand = name: environment: script: {
      outPath =
        if environment ? outputHash then
          "${store}/fetched/${builtins.replaceStrings [ "/" ] [ "_" ] environment.outputHash}"
        else
          "${store}/${name}";
      inherit script;
    };
    callPackage =
      file: arguments:
      let
        make = import file;
      in
      make (builtins.intersectAttrs (builtins.functionArgs make) (pkgs // { inherit lib; }) // arguments);
  };

  # what mkMerge, mkIf and mkDefault are for: definitions of one value
  isSet = value: builtins.isAttrs value && !(value ? outPath);
  merge =
    a: b:
    if isSet a && isSet b then
      a // builtins.mapAttrs (name: value: if a ? ${name} then merge a.${name} value else value) b
    else
      b;
  resolve =
    value:
    if isSet value && value ? parts then
      builtins.foldl' merge { } (map resolve value.parts)
    else if isSet value && value ? fallback then
      value.fallback
    else if isSet value then
      builtins.mapAttrs (_: resolve) value
    else
      value;
in
{
  inherit lib;
  legacyPackages.${system} = pkgs;

  # what a module of services.unit-secrets makes of somebody's settings for it
  evaluate =
    module: given:
    let
      made = module {
        inherit lib pkgs;
        config.services.unit-secrets = final;
      };
      options = made.options.services.unit-secrets;
      unknown = builtins.filter (name: !(options ? ${name})) (builtins.attrNames given);
      own = resolve made.config;
      final =
        assert unknown == [ ];
        builtins.mapAttrs (_: option: option.default) options
        // given
        // {
          settings = merge (own.services.unit-secrets.settings or { }) (given.settings or { });
        };
    in
    removeAttrs own [ "services" ] // { settings = final.settings; };
}
