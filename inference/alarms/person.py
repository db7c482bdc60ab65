"""Who asks for something; ingest knows people too, so the words of it live there."""

from ingest.person import MAX_WHO, Who, decode_who, name_of, printable

__all__ = ["MAX_WHO", "Who", "decode_who", "name_of", "printable"]
