# The package, built from source. The npm packages are those of package-lock.json, with its digests; install
# scripts take no part.
{
  lib,
  stdenv,
  cacert,
  installShellFiles,
  nodejs_24,
  patchelf,
  runCommand,
  # the git commit, for --version
  commit ? "",
}:

let
  inherit (stdenv.hostPlatform) system;
  # npm's name of the processor, and that in the name of Bun's package
  processor =
    {
      x86_64-linux = {
        npm = "x64";
        bun = "x64";
      };
      aarch64-linux = {
        npm = "arm64";
        bun = "aarch64";
      };
    }
    .${system} or (throw "unit-secrets is not made for ${system}");
  bun = "node_modules/@oven/bun-linux-${processor.bun}/bin/bun";

  lock = lib.importJSON ../package-lock.json;
  fits =
    locked:
    builtins.elem "linux" (lib.toList (locked.os or "linux"))
    && builtins.elem processor.npm (lib.toList (locked.cpu or processor.npm))
    && builtins.elem "glibc" (lib.toList (locked.libc or "glibc"));
  wanted = lib.filterAttrs (
    place: locked:
    place != ""
    && fits locked
    # Node.js comes from nixpkgs
    && !(lib.hasPrefix "node_modules/node-linux-" place)
  ) lock.packages;

  # "node_modules/a/node_modules/@b/c" is the package "@b/c"
  nameOf = place: lib.last (lib.splitString "node_modules/" place);
  # npm knows where its registry is, or what stands in for it; the digest says whether the file is the right one
  fetch =
    place: locked:
    runCommand "${baseNameOf (nameOf place)}-${locked.version}.tgz"
      {
        outputHash = locked.integrity;
        outputHashMode = "flat";
        nativeBuildInputs = [
          cacert
          nodejs_24
        ];
      }
      ''
        export HOME=$TMPDIR
        npm pack --silent ${lib.escapeShellArg "${nameOf place}@${locked.version}"}
        mv ./*.tgz "$out"
      '';
in
stdenv.mkDerivation {
  pname = "unit-secrets";
  inherit (lib.importJSON ../package.json) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../examples
      ../generators
      ../man
      ../package-lock.json
      ../package.json
      ../schema
      ../scripts
      ../src
      ../tsconfig.json
    ];
  };

  nativeBuildInputs = [
    installShellFiles
    nodejs_24
    patchelf
  ];

  configurePhase = ''
    runHook preConfigure
    ${lib.concatStringsSep "\n" (
      lib.mapAttrsToList (place: locked: ''
        mkdir -p ${lib.escapeShellArg place}
        tar --extract --gzip --file ${fetch place locked} --strip-components 1 --directory ${lib.escapeShellArg place}
      '') wanted
    )}
    # the program is put into a copy of this, which keeps the interpreter
    chmod +x ${bun} node_modules/@esbuild/linux-${processor.npm}/bin/esbuild
    patchelf --set-interpreter "$(cat "$NIX_CC/nix-support/dynamic-linker")" ${bun}
    runHook postConfigure
  '';

  env.UNIT_SECRETS_COMMIT = commit;
  buildPhase = ''
    runHook preBuild
    node scripts/build.ts
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    install -D dist/unit-secrets "$out/bin/unit-secrets"
    mkdir -p "$out/lib/systemd/system-generators" "$out/share/doc/unit-secrets"
    ln -s "$out/bin/unit-secrets" "$out/lib/systemd/system-generators/unit-secrets-generator"
    install -D --mode 0644 --target-directory="$out/share/unit-secrets" schema/*.schema.json
    cp -r examples "$out/share/doc/unit-secrets/"
    installManPage man/*
    installShellCompletion --cmd unit-secrets \
      --bash <("$out/bin/unit-secrets" completion bash) \
      --zsh <("$out/bin/unit-secrets" completion zsh) \
      --fish <("$out/bin/unit-secrets" completion fish)
    runHook postInstall
  '';

  # the program lies behind the executable's sections: nothing may be cut off or moved
  dontStrip = true;
  dontPatchELF = true;

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    mkdir -p check/etc/unit-secrets
    cp examples/homelab/manifest.json check/etc/unit-secrets/
    UNIT_SECRETS_ROOT=$PWD/check "$out/bin/unit-secrets" "$PWD/units"
    grep -q "^ExecStart=$out/bin/unit-secrets fetch cloudflared$" units/cloudflared-secrets.service
    runHook postInstallCheck
  '';

  meta = {
    description = "Secrets for systemd services, declared in git, fetched from 1Password at boot, kept in RAM only";
    license = lib.licenses.mit;
    mainProgram = "unit-secrets";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    sourceProvenance = [
      lib.sourceTypes.fromSource
      # Bun
      lib.sourceTypes.binaryNativeCode
    ];
  };
}
