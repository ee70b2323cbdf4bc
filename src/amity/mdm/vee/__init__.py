"""Validation, estimation and editing (VEE): each rule a pure function on columns, with definition, default and source.

Order and definitions follow the California "Standards for Validating, Editing and Estimating Monthly and Interval
Data" (DASMMD, Rev 2.0), which the EEI Uniform Business Practices took over.
"""
