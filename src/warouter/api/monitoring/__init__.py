"""The endpoints that load balancers, Prometheus and operators ask.

health       GET / and /v1/health
stats        /metrics and /v1/stats
support      /v1/support, without secrets
operations   where the handlers get all of it from, and the rate limits
"""
