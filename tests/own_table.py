"""A user's own table as tests share it: things by title and photo, and a recipe of scripted models."""

__all__ = ["OWN", "TABLE"]

TABLE = """
table: things.csv
question: Is the thing red?
text: [title]
images: photo
labels: [yes, no]
gold: answer
split: part
recipe:
  captioner: scripted:echo
  judges: {a: "scripted:yes"}
"""
"""What the table is, and what looks at its photos; readers and policies are to follow."""

OWN = f"""{TABLE}
  reader: scripted:yes
  readers: zero-shot
  policies: [none, captions:vote]
  resamples: 20
"""
