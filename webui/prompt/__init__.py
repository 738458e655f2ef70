"""The prompt language: text → tree → schedule → chunks of tokens. Pure text, no torch; may import `domain` and `words`.

In the order a prompt goes through them (A1111 1.10.1's order, which decides what a prompt means):

    styles      styles.csv: read, write, apply, find again in a pasted prompt
    comments    `# …` to the end of the line
    networks    `<type:name:args>`
    compose     `a AND b :0.5`
    schedule    `[from:to:when]`, `[a|b]`
    attention   `(a:1.2)`, `[a]`, `BREAK`
    chunks      75 tokens at a time, embeddings whole
    tokens      CLIP's byte-pair tokenizer
    counter     what the number beside a prompt box says
    limits      how much prompt is taken

A new piece of syntax is a module here with one function from text to value, placed in this list, with every row of its
behaviour in `tests/prompt/`.
"""
