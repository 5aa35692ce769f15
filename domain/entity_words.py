"""Words that the rules for entities go by: what paths begin with and end in, and what is no name of anybody."""

ROOTS = """
Applications Library Users Volumes bin boot data dev etc home lib media mnt opt private proc root run sbin srv sys
tmp usr var workspace
"""
"""What a path from the root begins with, where it has no ending that files have."""

ENDINGS = """
avi bash bat bmp c cc cfg conf cpp cs css csv dart db doc docx env ex exs flac gif go gql gradle graphql gz h hpp hs
htm html ico ini ipynb java jpeg jpg js json jsonl jsx kt lock log lua md mdx mjs mov mp3 mp4 odt ods parquet pdf
php pl png ppt pptx proto ps1 py pyi r rb rs rst scala scss sh sql sqlite svelte svg swift tar tex tf tgz toml ts
tsv tsx txt vue wav webp xls xlsx xml yaml yml zip zsh
"""
"""What names of files end in."""

NO_HANDLES = """
abstract author bean channel charset classmethod click component container dataclass deprecated entity everyone
fixture font here if import include inject keyframes link media override param property pytest requires return
returns see service since staticmethod supports suppresswarnings test throws todo tool type typedef use version
"""
"""What is written with an @ and is nobody: of programs, and for all that are there."""

ROLES = """
user assistant agent system tool human ai bot model developer function
"""
"""What those are called that nobody has named."""
