"""Slides: which there are, their px, their outlines and their tissue. Knows no MPI, no HDF5 and no TensorFlow."""
from .annotation import check_annotation, read_annotation
from .catalogue import catalogue
from .jpeg_decoder import load_kernels
from .labels import labels, tumor_fractions
from .layouts import patient_stages
from .record import SlideRecord, catalogue_digest
from .resolution import Resolution, read_patch, resolve, shrink
from .slide import Level, Slide, open_record, open_slide
from .tissue import tissue_fractions, tissue_mask

__all__ = ["Level", "Resolution", "Slide", "SlideRecord", "catalogue", "catalogue_digest", "check_annotation", "labels", "load_kernels", "open_record",
           "open_slide", "patient_stages", "read_annotation", "read_patch", "resolve", "shrink", "tissue_fractions", "tissue_mask",
           "tumor_fractions"]
