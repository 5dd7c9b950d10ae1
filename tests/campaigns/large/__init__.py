"""Statements that owners, leaders and webapps wait for, on tables of two million rows."""
