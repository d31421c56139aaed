// The shape of `.mesh`: statements end with their line, blocks stand in braces. What a statement means is the compiler's.
//
// A newline ends a statement, except behind a comma and before `when`, `and`, `except` and `expect`; and a brace may stand on the line below.
// Each of these is one token here, so that one look ahead is enough.
module.exports = grammar({
  name: "mesh",

  extras: ($) => [/[ \t\r\uFEFF]/, $.comment, $.doc],

  word: ($) => $.word,

  rules: {
    source_file: ($) => repeat(choice($.statement, $._end)),

    statement: ($) =>
      prec.right(seq(field("keyword", alias($.word, $.keyword)), repeat($._argument), optional($.block))),

    block: ($) =>
      seq(choice("{", alias(token(prec(1, /(\r?\n[ \t]*(#[^\n]*)?)+\{/)), "{")), repeat(choice($.statement, $._end)), "}"),

    _end: (_) => choice(/\r?\n/, ";"),

    _argument: ($) =>
      choice(
        $.word,
        $.quantity,
        $.string,
        $.regex,
        $.path,
        $.parameter,
        $.continuation,
        $.comma,
        $.operator,
        "(",
        ")",
      ),

    continuation: (_) => token(prec(2, /(\r?\n[ \t]*(#[^\n]*)?)*\r?\n[ \t]*(when|and|except|expect)/)),

    // A list goes on behind its comma.
    comma: (_) => token(/,([ \t]*(#[^\n]*)?\r?\n)*/),

    operator: (_) => choice("|", "=", "!=", "->", ".."),

    word: (_) => /[A-Za-z_][A-Za-z0-9_\-./:]*/,

    quantity: (_) => /[0-9][A-Za-z0-9.%\/]*/,

    string: (_) => token(seq('"', repeat(choice(/[^"\\\n]/, /\\[^\n]/)), '"')),

    regex: (_) => token(prec(1, seq('re"', repeat(choice(/[^"\\\n]/, /\\[^\n]/)), '"'))),

    path: (_) => token(/\/[^\s,;#"]*/),

    parameter: (_) => /\$[A-Za-z][A-Za-z0-9\-]*/,

    doc: (_) => token(prec(1, /##[^\n]*/)),

    comment: (_) => token(/#[^\n]*/),
  },
});
