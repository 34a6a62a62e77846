# The image of singularity.def, for Docker and Podman:   docker build -t mpicamnet .   docker run --rm mpicamnet --help
# To a cluster: apptainer build mpicamnet.sif docker-daemon://mpicamnet:latest
FROM debian:bookworm-slim

COPY install /opt/mpicamnet/install
COPY constraints.txt setup.cfg pyproject.toml README.md LICENSE /opt/mpicamnet/
COPY mpicamnet /opt/mpicamnet/mpicamnet
COPY configs /opt/mpicamnet/configs
RUN /opt/mpicamnet/install/image.sh

ENV PATH=/opt/mpicamnet/.venv/bin:$PATH LC_ALL=C.UTF-8 NUMBA_CACHE_DIR=/tmp/mpicamnet-numba \
    OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
LABEL org.opencontainers.image.title=mpicamnet org.opencontainers.image.licenses=MIT org.opencontainers.image.version=0.1.0
ENTRYPOINT ["mpicamnet"]
CMD ["--help"]
