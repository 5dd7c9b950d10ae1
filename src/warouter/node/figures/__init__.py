"""The figures that processes report: metrics, collected from their parts for each report.

coreapp   those of a coreapp
cloud     those of it that only the Cloud API brings about
"""
