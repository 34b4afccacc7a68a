"""The realtime part: database changes, broadcast and presence over WebSocket (wire contract §4).

Changes come out of a log that triggers write (`sql/080_realtime.sql`): `feed` follows it,
`delivery` decides who may see what, a `Connection` sends. NOTIFY only wakes the feed up.
"""
