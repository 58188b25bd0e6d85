# Never built by Nix: a test parses it. `nix-build src/packaging` builds it, from the sources that it lies in.
{ pkgs ? import <nixpkgs> { } }:

let
  # the library that is preloaded must not need a library that the fenced program has another version of
  inih = pkgs.inih.overrideAttrs (old: {
    mesonFlags = (old.mesonFlags or [ ]) ++ [ "-Ddefault_library=static" ];
  });
in
pkgs.stdenv.mkDerivation {
  pname = "portfence";
  version = "0.1.0";
  src = pkgs.lib.cleanSource ../..;
  buildInputs = [ inih pkgs.jansson ];
  makeFlags = [ "PREFIX=$(out)" "LIBDIR=$(out)/lib/portfence" ];
  enableParallelBuilding = true;
  # the tests make network namespaces, as root
  doCheck = false;
  meta = {
    description = "Keeps a program within a source-port range of its own";
    license = pkgs.lib.licenses.mit;
    platforms = pkgs.lib.platforms.linux;
    mainProgram = "portfence";
  };
}
