# The NixOS module: services.unit-secrets.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.unit-secrets;
  json = pkgs.formats.json { };
  manifest = json.generate "unit-secrets-manifest.json" cfg.settings;

  # an error in the manifest is an error of the build, not of the next boot
  checkedManifest = pkgs.runCommand "unit-secrets-manifest-checked.json" { } ''
    mkdir -p root/etc/unit-secrets
    cp ${manifest} root/etc/unit-secrets/manifest.json
    ${cfg.package}/bin/unit-secrets generate --root "$PWD/root" --output "$PWD/units"
    cp ${manifest} "$out"
  '';
in
{
  options.services.unit-secrets = {
    enable = lib.mkEnableOption "secrets for systemd services, fetched at boot and kept in RAM only";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalMD "the package of this flake";
      description = "The package that provides unit-secrets.";
    };

    settings = lib.mkOption {
      type = json.type;
      default = { };
      example = lib.literalExpression ''
        {
          services.cloudflared.environment.TUNNEL_TOKEN = "op://Homelab/Cloudflare/tunnel-token";
          services.grafana.environment.GF_SECURITY_ADMIN_PASSWORD = "op://Homelab/Grafana/password";
        }
      '';
      description = ''
        The manifest, as unit-secrets.manifest(5) describes it. It ends up in the Nix store, which everyone can
        read: references to secrets belong here, secrets do not.
      '';
    };

    tokenFile = lib.mkOption {
      # a string: a path of Nix would be copied into the store
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = lib.literalExpression "config.age.secrets.onepassword-token.path";
      description = ''
        A file with the service account token for 1Password that another module puts into RAM, such as agenix.
        Without it, the token is taken from where `settings.token` says, which by default is
        `/etc/unit-secrets/1password-token.age`, sealed with age to the host's SSH key.
      '';
    };

    checkManifest = lib.mkOption {
      type = lib.types.bool;
      default = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
      defaultText = lib.literalMD "`true` if the machine that builds can run the package";
      description = "Whether an error in the manifest ends the build of the system.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.tokenFile == null || lib.hasPrefix "/" cfg.tokenFile;
        message = "services.unit-secrets.tokenFile must be an absolute path";
      }
      {
        assertion = cfg.tokenFile == null || !(lib.hasPrefix builtins.storeDir cfg.tokenFile);
        message = "services.unit-secrets.tokenFile is in the Nix store, which everyone can read";
      }
    ];

    services.unit-secrets.settings = lib.mkMerge [
      { version = lib.mkDefault 1; }
      (lib.mkIf (cfg.tokenFile != null) { token.file = cfg.tokenFile; })
    ];

    environment.systemPackages = [ cfg.package ];
    environment.etc."unit-secrets/manifest.json".source = if cfg.checkManifest then checkedManifest else manifest;

    # the token unit makes it as well, where it finds mkdir(1)
    systemd.tmpfiles.rules = [ "d /var/lib/unit-secrets 0755 root root -" ];

    systemd.generators.unit-secrets-generator = "${cfg.package}/bin/unit-secrets";
  };
}
