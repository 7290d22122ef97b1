# syntax=docker/dockerfile:1

# An image of nothing but chatspec, statically linked, and the certificates of the public authorities:
#
#   docker build --tag chatspec .
#   docker run --rm --network host chatspec load steady-chat --http http://127.0.0.1:5000 --ws ws://127.0.0.1:2333

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# With a target named, build scripts and procedural macros are built without these flags: a static macro can't be loaded.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target=$(rustc -vV | sed -n 's/^host: //p') \
    && RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --bin chatspec --target "$target" \
    && install -D --strip "target/$target/release/chatspec" /image/chatspec \
    && install -D --mode=644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt

FROM scratch
COPY --from=build /image/ /
# Whoever runs it in Kubernetes may ask for a user that isn't root, by number.
USER 65532:65532
ENTRYPOINT ["/chatspec"]
