{
  description = "Secrets for systemd services, declared in git, fetched from 1Password at boot, kept in RAM only";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      forEachSystem =
        make:
        nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: make nixpkgs.legacyPackages.${system});
      packageFor = pkgs: pkgs.callPackage ./nix/package.nix { commit = self.rev or ""; };
    in
    {
      packages = forEachSystem (pkgs: rec {
        unit-secrets = packageFor pkgs;
        default = unit-secrets;
      });

      overlays.default = final: _previous: { unit-secrets = packageFor final; };

      nixosModules.default =
        { lib, pkgs, ... }:
        {
          imports = [ ./nix/module.nix ];
          services.unit-secrets.package = lib.mkDefault (packageFor pkgs);
        };
    };
}
