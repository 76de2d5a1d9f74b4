"""Prepared values of every view of a sweep, from the tables alone: what the page, the report and its server show."""

from layersweep.studies.views.payload import payload_of
from layersweep.studies.views.preparer import ViewPreparer

__all__ = ["ViewPreparer", "payload_of"]
