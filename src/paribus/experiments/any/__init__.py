"""Experiments that know no subject: a method, a factor and a readout on any network and any contexts."""
