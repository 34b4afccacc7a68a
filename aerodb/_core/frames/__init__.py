"""Rows as columns of known types, and data frames as rows. Imports no data frame library.

`kinds` says what a PostgreSQL type is in a column, `selecting` which columns a select list gives,
`columns` turns rows into columns, `rows` turns a data frame into rows. The libraries' own types
are `aerodb._frames`' business.
"""
