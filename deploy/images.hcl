# How the three images are built for others; deploy/images.sh calls it. Compose builds them for this machine alone.

variable "IMAGES" { default = "iris-ml" } # what their names begin with, such as ghcr.io/owner/repository
variable "TAG" { default = "latest" }
variable "PUSH" { default = "" }          # not empty: to the registry, with provenance and a bill of materials
variable "CACHE" { default = "" }         # the tag under which the registry keeps what was built
variable "REVISION" { default = "" }
variable "SOURCE" { default = "" }

group "default" { targets = ["image"] }

target "image" {
  name    = service
  matrix  = { service = ["backend", "frontend", "mlflow"] }
  context = "./${service}"
  # Who takes the image cannot build it with what sends traces; it is not imported until it is asked for.
  args   = { TRACING = service == "backend" ? "1" : null }
  tags   = ["${IMAGES}/${service}:${TAG}"]
  labels = {
    "org.opencontainers.image.title"    = "iris-ml ${service}"
    "org.opencontainers.image.licenses" = "MIT"
    "org.opencontainers.image.revision" = REVISION
    "org.opencontainers.image.source"   = SOURCE # by which GitHub shows it in the repository
  }
  output     = [PUSH == "" ? "type=docker" : "type=registry"]
  attest     = PUSH == "" ? [] : ["type=provenance,mode=max", "type=sbom"]
  cache-from = CACHE == "" ? [] : ["type=registry,ref=${IMAGES}/${service}:${CACHE}"]
  cache-to   = CACHE == "" ? [] : ["type=registry,ref=${IMAGES}/${service}:${CACHE},mode=max"]
}
