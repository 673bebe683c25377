"""Scoring and linking on Spark, for users and items that outgrow one machine.

    tables of a store ──mekb.exchange──> Parquet ──here──> Parquet ──mekb.exchange──> tables of the store

No formula is written here: the SQL texts of `mekb.scoring` and the generator `Linker.link_batches` run
unchanged. A test holds the rows to those of one machine. PySpark is the extra `mekb[spark]` and is imported
only when a session is opened.
"""
