# Retort as an image: planners, workers and servers of a fleet (docs/fleet.md).
#
#   docker build -t retort .
#   docker run --rm retort worker --store postgresql://retort@db/fleet
#
# The first stage builds with the compiler; the last one has the program, the interpreter's Python and libtorch's libraries.
FROM swift:6.3-bookworm AS build
WORKDIR /retort
COPY scripts scripts
RUN scripts/bootstrap
COPY . .
RUN swift build -c release --product retort --static-swift-stdlib \
    && mkdir -p /out/.retort \
    && cp -a .build/release/retort .build/release/*.resources /out/ \
    && cp -a .retort/python /out/.retort/python \
    && mkdir /out/lib && cp -a .retort/libtorch/lib/*.so* /out/lib/

FROM debian:bookworm-slim
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        bubblewrap ca-certificates curl libblas3 libcurl4 libjemalloc2 liblapack3 libpq5 libsqlite3-0 libxml2 poppler-utils python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 retort
COPY --from=build /out/lib /retort/.retort/libtorch/lib
COPY --from=build /out/.retort/python /retort/.retort/python
COPY --from=build /out/*.resources /retort/.build/release/
COPY --from=build /out/retort /retort/.build/release/retort
COPY recipes /retort/recipes
COPY seedlings /retort/seedlings
RUN ln -s /retort/.build/release/retort /usr/local/bin/retort && mkdir /data && chown retort /data
ENV LD_LIBRARY_PATH=/retort/.retort/libtorch/lib
USER retort
WORKDIR /data
# A server answers at /healthz; of a planner or a worker it is enough that its program can start.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD curl -fsS http://127.0.0.1:8080/healthz || retort --version
ENTRYPOINT ["retort"]
CMD ["--help"]
