#include "tree_sitter/parser.h"

#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif

#define LANGUAGE_VERSION 14
#define STATE_COUNT 15
#define LARGE_STATE_COUNT 6
#define SYMBOL_COUNT 31
#define ALIAS_COUNT 1
#define TOKEN_COUNT 23
#define EXTERNAL_TOKEN_COUNT 0
#define FIELD_COUNT 1
#define MAX_ALIAS_SEQUENCE_LENGTH 3
#define PRODUCTION_ID_COUNT 2

enum ts_symbol_identifiers {
  sym_word = 1,
  anon_sym_LBRACE = 2,
  aux_sym_block_token1 = 3,
  anon_sym_RBRACE = 4,
  aux_sym__end_token1 = 5,
  anon_sym_SEMI = 6,
  anon_sym_LPAREN = 7,
  anon_sym_RPAREN = 8,
  sym_continuation = 9,
  sym_comma = 10,
  anon_sym_PIPE = 11,
  anon_sym_EQ = 12,
  anon_sym_BANG_EQ = 13,
  anon_sym_DASH_GT = 14,
  anon_sym_DOT_DOT = 15,
  sym_quantity = 16,
  sym_string = 17,
  sym_regex = 18,
  sym_path = 19,
  sym_parameter = 20,
  sym_doc = 21,
  sym_comment = 22,
  sym_source_file = 23,
  sym_statement = 24,
  sym_block = 25,
  sym__end = 26,
  sym__argument = 27,
  sym_operator = 28,
  aux_sym_source_file_repeat1 = 29,
  aux_sym_statement_repeat1 = 30,
  alias_sym_keyword = 31,
};

static const char * const ts_symbol_names[] = {
  [ts_builtin_sym_end] = "end",
  [sym_word] = "word",
  [anon_sym_LBRACE] = "{",
  [aux_sym_block_token1] = "{",
  [anon_sym_RBRACE] = "}",
  [aux_sym__end_token1] = "_end_token1",
  [anon_sym_SEMI] = ";",
  [anon_sym_LPAREN] = "(",
  [anon_sym_RPAREN] = ")",
  [sym_continuation] = "continuation",
  [sym_comma] = "comma",
  [anon_sym_PIPE] = "|",
  [anon_sym_EQ] = "=",
  [anon_sym_BANG_EQ] = "!=",
  [anon_sym_DASH_GT] = "->",
  [anon_sym_DOT_DOT] = "..",
  [sym_quantity] = "quantity",
  [sym_string] = "string",
  [sym_regex] = "regex",
  [sym_path] = "path",
  [sym_parameter] = "parameter",
  [sym_doc] = "doc",
  [sym_comment] = "comment",
  [sym_source_file] = "source_file",
  [sym_statement] = "statement",
  [sym_block] = "block",
  [sym__end] = "_end",
  [sym__argument] = "_argument",
  [sym_operator] = "operator",
  [aux_sym_source_file_repeat1] = "source_file_repeat1",
  [aux_sym_statement_repeat1] = "statement_repeat1",
  [alias_sym_keyword] = "keyword",
};

static const TSSymbol ts_symbol_map[] = {
  [ts_builtin_sym_end] = ts_builtin_sym_end,
  [sym_word] = sym_word,
  [anon_sym_LBRACE] = anon_sym_LBRACE,
  [aux_sym_block_token1] = anon_sym_LBRACE,
  [anon_sym_RBRACE] = anon_sym_RBRACE,
  [aux_sym__end_token1] = aux_sym__end_token1,
  [anon_sym_SEMI] = anon_sym_SEMI,
  [anon_sym_LPAREN] = anon_sym_LPAREN,
  [anon_sym_RPAREN] = anon_sym_RPAREN,
  [sym_continuation] = sym_continuation,
  [sym_comma] = sym_comma,
  [anon_sym_PIPE] = anon_sym_PIPE,
  [anon_sym_EQ] = anon_sym_EQ,
  [anon_sym_BANG_EQ] = anon_sym_BANG_EQ,
  [anon_sym_DASH_GT] = anon_sym_DASH_GT,
  [anon_sym_DOT_DOT] = anon_sym_DOT_DOT,
  [sym_quantity] = sym_quantity,
  [sym_string] = sym_string,
  [sym_regex] = sym_regex,
  [sym_path] = sym_path,
  [sym_parameter] = sym_parameter,
  [sym_doc] = sym_doc,
  [sym_comment] = sym_comment,
  [sym_source_file] = sym_source_file,
  [sym_statement] = sym_statement,
  [sym_block] = sym_block,
  [sym__end] = sym__end,
  [sym__argument] = sym__argument,
  [sym_operator] = sym_operator,
  [aux_sym_source_file_repeat1] = aux_sym_source_file_repeat1,
  [aux_sym_statement_repeat1] = aux_sym_statement_repeat1,
  [alias_sym_keyword] = alias_sym_keyword,
};

static const TSSymbolMetadata ts_symbol_metadata[] = {
  [ts_builtin_sym_end] = {
    .visible = false,
    .named = true,
  },
  [sym_word] = {
    .visible = true,
    .named = true,
  },
  [anon_sym_LBRACE] = {
    .visible = true,
    .named = false,
  },
  [aux_sym_block_token1] = {
    .visible = true,
    .named = false,
  },
  [anon_sym_RBRACE] = {
    .visible = true,
    .named = false,
  },
  [aux_sym__end_token1] = {
    .visible = false,
    .named = false,
  },
  [anon_sym_SEMI] = {
    .visible = true,
    .named = false,
  },
  [anon_sym_LPAREN] = {
    .visible = true,
    .named = false,
  },
  [anon_sym_RPAREN] = {
    .visible = true,
    .named = false,
  },
  [sym_continuation] = {
    .visible = true,
    .named = true,
  },
  [sym_comma] = {
    .visible = true,
    .named = true,
  },
  [anon_sym_PIPE] = {
    .visible = true,
    .named = false,
  },
  [anon_sym_EQ] = {
    .visible = true,
    .named = false,
  },
  [anon_sym_BANG_EQ] = {
    .visible = true,
    .named = false,
  },
  [anon_sym_DASH_GT] = {
    .visible = true,
    .named = false,
  },
  [anon_sym_DOT_DOT] = {
    .visible = true,
    .named = false,
  },
  [sym_quantity] = {
    .visible = true,
    .named = true,
  },
  [sym_string] = {
    .visible = true,
    .named = true,
  },
  [sym_regex] = {
    .visible = true,
    .named = true,
  },
  [sym_path] = {
    .visible = true,
    .named = true,
  },
  [sym_parameter] = {
    .visible = true,
    .named = true,
  },
  [sym_doc] = {
    .visible = true,
    .named = true,
  },
  [sym_comment] = {
    .visible = true,
    .named = true,
  },
  [sym_source_file] = {
    .visible = true,
    .named = true,
  },
  [sym_statement] = {
    .visible = true,
    .named = true,
  },
  [sym_block] = {
    .visible = true,
    .named = true,
  },
  [sym__end] = {
    .visible = false,
    .named = true,
  },
  [sym__argument] = {
    .visible = false,
    .named = true,
  },
  [sym_operator] = {
    .visible = true,
    .named = true,
  },
  [aux_sym_source_file_repeat1] = {
    .visible = false,
    .named = false,
  },
  [aux_sym_statement_repeat1] = {
    .visible = false,
    .named = false,
  },
  [alias_sym_keyword] = {
    .visible = true,
    .named = true,
  },
};

enum ts_field_identifiers {
  field_keyword = 1,
};

static const char * const ts_field_names[] = {
  [0] = NULL,
  [field_keyword] = "keyword",
};

static const TSFieldMapSlice ts_field_map_slices[PRODUCTION_ID_COUNT] = {
  [1] = {.index = 0, .length = 1},
};

static const TSFieldMapEntry ts_field_map_entries[] = {
  [0] =
    {field_keyword, 0},
};

static const TSSymbol ts_alias_sequences[PRODUCTION_ID_COUNT][MAX_ALIAS_SEQUENCE_LENGTH] = {
  [0] = {0},
  [1] = {
    [0] = alias_sym_keyword,
  },
};

static const uint16_t ts_non_terminal_alias_map[] = {
  0,
};

static const TSStateId ts_primary_state_ids[STATE_COUNT] = {
  [0] = 0,
  [1] = 1,
  [2] = 2,
  [3] = 3,
  [4] = 4,
  [5] = 5,
  [6] = 6,
  [7] = 7,
  [8] = 8,
  [9] = 9,
  [10] = 10,
  [11] = 11,
  [12] = 12,
  [13] = 13,
  [14] = 14,
};

static bool ts_lex(TSLexer *lexer, TSStateId state) {
  START_LEXER();
  eof = lexer->eof(lexer);
  switch (state) {
    case 0:
      if (eof) ADVANCE(30);
      ADVANCE_MAP(
        '\n', 36,
        '\r', 1,
        '!', 12,
        '"', 9,
        '#', 56,
        '$', 26,
        '(', 38,
        ')', 39,
        ',', 41,
        '-', 13,
        '.', 11,
        '/', 53,
        ';', 37,
        '=', 43,
        'r', 48,
        '{', 31,
        '|', 42,
        '}', 34,
      );
      if (lookahead == '\t' ||
          lookahead == ' ' ||
          lookahead == 0xfeff) SKIP(0);
      if (('0' <= lookahead && lookahead <= '9')) ADVANCE(50);
      if (('A' <= lookahead && lookahead <= 'Z') ||
          lookahead == '_' ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(49);
      END_STATE();
    case 1:
      ADVANCE_MAP(
        '\n', 36,
        '\r', 1,
        '!', 12,
        '"', 9,
        '#', 56,
        '$', 26,
        '(', 38,
        ')', 39,
        ',', 41,
        '-', 13,
        '.', 11,
        '/', 53,
        ';', 37,
        '=', 43,
        'r', 48,
        '{', 31,
        '|', 42,
        '}', 34,
      );
      if (lookahead == '\t' ||
          lookahead == ' ' ||
          lookahead == 0xfeff) SKIP(1);
      if (('0' <= lookahead && lookahead <= '9')) ADVANCE(50);
      if (('A' <= lookahead && lookahead <= 'Z') ||
          lookahead == '_' ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(49);
      END_STATE();
    case 2:
      if (lookahead == '\n') ADVANCE(41);
      END_STATE();
    case 3:
      if (lookahead == '\n') ADVANCE(41);
      if (lookahead == '\r') ADVANCE(3);
      if (lookahead != 0) ADVANCE(3);
      END_STATE();
    case 4:
      if (lookahead == '\n') ADVANCE(41);
      if (lookahead == '\r') ADVANCE(2);
      if (lookahead == '#') ADVANCE(3);
      if (lookahead == '\t' ||
          lookahead == ' ') ADVANCE(4);
      END_STATE();
    case 5:
      if (lookahead == '\n') ADVANCE(6);
      END_STATE();
    case 6:
      ADVANCE_MAP(
        '\n', 6,
        '\r', 5,
        '#', 7,
        'a', 21,
        'e', 25,
        'w', 20,
        '{', 32,
        '\t', 6,
        ' ', 6,
      );
      END_STATE();
    case 7:
      if (lookahead == '\n') ADVANCE(6);
      if (lookahead == '\r') ADVANCE(7);
      if (lookahead == '{') ADVANCE(33);
      if (lookahead != 0) ADVANCE(7);
      END_STATE();
    case 8:
      if (lookahead == '\n') ADVANCE(35);
      if (lookahead == '\r') ADVANCE(8);
      if (lookahead == '#') ADVANCE(56);
      if (lookahead == ';') ADVANCE(37);
      if (lookahead == '}') ADVANCE(34);
      if (lookahead == '\t' ||
          lookahead == ' ' ||
          lookahead == 0xfeff) SKIP(8);
      if (('A' <= lookahead && lookahead <= 'Z') ||
          lookahead == '_' ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(49);
      END_STATE();
    case 9:
      if (lookahead == '"') ADVANCE(51);
      if (lookahead == '\\') ADVANCE(27);
      if (lookahead != 0 &&
          lookahead != '\n') ADVANCE(9);
      END_STATE();
    case 10:
      if (lookahead == '"') ADVANCE(52);
      if (lookahead == '\\') ADVANCE(28);
      if (lookahead != 0 &&
          lookahead != '\n') ADVANCE(10);
      END_STATE();
    case 11:
      if (lookahead == '.') ADVANCE(46);
      END_STATE();
    case 12:
      if (lookahead == '=') ADVANCE(44);
      END_STATE();
    case 13:
      if (lookahead == '>') ADVANCE(45);
      END_STATE();
    case 14:
      if (lookahead == 'c') ADVANCE(24);
      END_STATE();
    case 15:
      if (lookahead == 'c') ADVANCE(17);
      if (lookahead == 'p') ADVANCE(18);
      END_STATE();
    case 16:
      if (lookahead == 'd') ADVANCE(40);
      END_STATE();
    case 17:
      if (lookahead == 'e') ADVANCE(23);
      END_STATE();
    case 18:
      if (lookahead == 'e') ADVANCE(14);
      END_STATE();
    case 19:
      if (lookahead == 'e') ADVANCE(22);
      END_STATE();
    case 20:
      if (lookahead == 'h') ADVANCE(19);
      END_STATE();
    case 21:
      if (lookahead == 'n') ADVANCE(16);
      END_STATE();
    case 22:
      if (lookahead == 'n') ADVANCE(40);
      END_STATE();
    case 23:
      if (lookahead == 'p') ADVANCE(24);
      END_STATE();
    case 24:
      if (lookahead == 't') ADVANCE(40);
      END_STATE();
    case 25:
      if (lookahead == 'x') ADVANCE(15);
      END_STATE();
    case 26:
      if (('A' <= lookahead && lookahead <= 'Z') ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(54);
      END_STATE();
    case 27:
      if (lookahead != 0 &&
          lookahead != '\n') ADVANCE(9);
      END_STATE();
    case 28:
      if (lookahead != 0 &&
          lookahead != '\n') ADVANCE(10);
      END_STATE();
    case 29:
      if (eof) ADVANCE(30);
      if (lookahead == '\n') ADVANCE(35);
      if (lookahead == '\r') ADVANCE(8);
      if (lookahead == '#') ADVANCE(56);
      if (lookahead == ';') ADVANCE(37);
      if (lookahead == '}') ADVANCE(34);
      if (lookahead == '\t' ||
          lookahead == ' ' ||
          lookahead == 0xfeff) SKIP(29);
      if (('A' <= lookahead && lookahead <= 'Z') ||
          lookahead == '_' ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(49);
      END_STATE();
    case 30:
      ACCEPT_TOKEN(ts_builtin_sym_end);
      END_STATE();
    case 31:
      ACCEPT_TOKEN(anon_sym_LBRACE);
      END_STATE();
    case 32:
      ACCEPT_TOKEN(aux_sym_block_token1);
      END_STATE();
    case 33:
      ACCEPT_TOKEN(aux_sym_block_token1);
      if (lookahead == '\n') ADVANCE(6);
      if (lookahead == '\r') ADVANCE(7);
      if (lookahead == '{') ADVANCE(33);
      if (lookahead != 0) ADVANCE(7);
      END_STATE();
    case 34:
      ACCEPT_TOKEN(anon_sym_RBRACE);
      END_STATE();
    case 35:
      ACCEPT_TOKEN(aux_sym__end_token1);
      END_STATE();
    case 36:
      ACCEPT_TOKEN(aux_sym__end_token1);
      ADVANCE_MAP(
        '\n', 6,
        '\r', 5,
        '#', 7,
        'a', 21,
        'e', 25,
        'w', 20,
        '{', 32,
        '\t', 6,
        ' ', 6,
      );
      END_STATE();
    case 37:
      ACCEPT_TOKEN(anon_sym_SEMI);
      END_STATE();
    case 38:
      ACCEPT_TOKEN(anon_sym_LPAREN);
      END_STATE();
    case 39:
      ACCEPT_TOKEN(anon_sym_RPAREN);
      END_STATE();
    case 40:
      ACCEPT_TOKEN(sym_continuation);
      END_STATE();
    case 41:
      ACCEPT_TOKEN(sym_comma);
      if (lookahead == '\n') ADVANCE(41);
      if (lookahead == '\r') ADVANCE(2);
      if (lookahead == '#') ADVANCE(3);
      if (lookahead == '\t' ||
          lookahead == ' ') ADVANCE(4);
      END_STATE();
    case 42:
      ACCEPT_TOKEN(anon_sym_PIPE);
      END_STATE();
    case 43:
      ACCEPT_TOKEN(anon_sym_EQ);
      END_STATE();
    case 44:
      ACCEPT_TOKEN(anon_sym_BANG_EQ);
      END_STATE();
    case 45:
      ACCEPT_TOKEN(anon_sym_DASH_GT);
      END_STATE();
    case 46:
      ACCEPT_TOKEN(anon_sym_DOT_DOT);
      END_STATE();
    case 47:
      ACCEPT_TOKEN(sym_word);
      if (lookahead == '"') ADVANCE(10);
      if (('-' <= lookahead && lookahead <= ':') ||
          ('A' <= lookahead && lookahead <= 'Z') ||
          lookahead == '_' ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(49);
      END_STATE();
    case 48:
      ACCEPT_TOKEN(sym_word);
      if (lookahead == 'e') ADVANCE(47);
      if (('-' <= lookahead && lookahead <= ':') ||
          ('A' <= lookahead && lookahead <= 'Z') ||
          lookahead == '_' ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(49);
      END_STATE();
    case 49:
      ACCEPT_TOKEN(sym_word);
      if (('-' <= lookahead && lookahead <= ':') ||
          ('A' <= lookahead && lookahead <= 'Z') ||
          lookahead == '_' ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(49);
      END_STATE();
    case 50:
      ACCEPT_TOKEN(sym_quantity);
      if (lookahead == '%' ||
          ('.' <= lookahead && lookahead <= '9') ||
          ('A' <= lookahead && lookahead <= 'Z') ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(50);
      END_STATE();
    case 51:
      ACCEPT_TOKEN(sym_string);
      END_STATE();
    case 52:
      ACCEPT_TOKEN(sym_regex);
      END_STATE();
    case 53:
      ACCEPT_TOKEN(sym_path);
      if (lookahead != 0 &&
          (lookahead < '\t' || '\r' < lookahead) &&
          lookahead != ' ' &&
          lookahead != '"' &&
          lookahead != '#' &&
          lookahead != ',' &&
          lookahead != ';') ADVANCE(53);
      END_STATE();
    case 54:
      ACCEPT_TOKEN(sym_parameter);
      if (lookahead == '-' ||
          ('0' <= lookahead && lookahead <= '9') ||
          ('A' <= lookahead && lookahead <= 'Z') ||
          ('a' <= lookahead && lookahead <= 'z')) ADVANCE(54);
      END_STATE();
    case 55:
      ACCEPT_TOKEN(sym_doc);
      if (lookahead != 0 &&
          lookahead != '\n') ADVANCE(55);
      END_STATE();
    case 56:
      ACCEPT_TOKEN(sym_comment);
      if (lookahead == '#') ADVANCE(55);
      if (lookahead != 0 &&
          lookahead != '\n') ADVANCE(57);
      END_STATE();
    case 57:
      ACCEPT_TOKEN(sym_comment);
      if (lookahead != 0 &&
          lookahead != '\n') ADVANCE(57);
      END_STATE();
    default:
      return false;
  }
}

static bool ts_lex_keywords(TSLexer *lexer, TSStateId state) {
  START_LEXER();
  eof = lexer->eof(lexer);
  switch (state) {
    case 0:
      ACCEPT_TOKEN(ts_builtin_sym_end);
      END_STATE();
    default:
      return false;
  }
}

static const TSLexMode ts_lex_modes[STATE_COUNT] = {
  [0] = {.lex_state = 0},
  [1] = {.lex_state = 29},
  [2] = {.lex_state = 0},
  [3] = {.lex_state = 0},
  [4] = {.lex_state = 0},
  [5] = {.lex_state = 0},
  [6] = {.lex_state = 29},
  [7] = {.lex_state = 29},
  [8] = {.lex_state = 29},
  [9] = {.lex_state = 29},
  [10] = {.lex_state = 29},
  [11] = {.lex_state = 29},
  [12] = {.lex_state = 29},
  [13] = {.lex_state = 29},
  [14] = {.lex_state = 0},
};

static const uint16_t ts_parse_table[LARGE_STATE_COUNT][SYMBOL_COUNT] = {
  [0] = {
    [ts_builtin_sym_end] = ACTIONS(1),
    [sym_word] = ACTIONS(1),
    [anon_sym_LBRACE] = ACTIONS(1),
    [aux_sym_block_token1] = ACTIONS(1),
    [anon_sym_RBRACE] = ACTIONS(1),
    [aux_sym__end_token1] = ACTIONS(1),
    [anon_sym_SEMI] = ACTIONS(1),
    [anon_sym_LPAREN] = ACTIONS(1),
    [anon_sym_RPAREN] = ACTIONS(1),
    [sym_continuation] = ACTIONS(1),
    [sym_comma] = ACTIONS(1),
    [anon_sym_PIPE] = ACTIONS(1),
    [anon_sym_EQ] = ACTIONS(1),
    [anon_sym_BANG_EQ] = ACTIONS(1),
    [anon_sym_DASH_GT] = ACTIONS(1),
    [anon_sym_DOT_DOT] = ACTIONS(1),
    [sym_quantity] = ACTIONS(1),
    [sym_string] = ACTIONS(1),
    [sym_regex] = ACTIONS(1),
    [sym_path] = ACTIONS(1),
    [sym_parameter] = ACTIONS(1),
    [sym_doc] = ACTIONS(3),
    [sym_comment] = ACTIONS(5),
  },
  [1] = {
    [sym_source_file] = STATE(14),
    [sym_statement] = STATE(7),
    [sym__end] = STATE(7),
    [aux_sym_source_file_repeat1] = STATE(7),
    [ts_builtin_sym_end] = ACTIONS(7),
    [sym_word] = ACTIONS(9),
    [aux_sym__end_token1] = ACTIONS(11),
    [anon_sym_SEMI] = ACTIONS(11),
    [sym_doc] = ACTIONS(3),
    [sym_comment] = ACTIONS(5),
  },
  [2] = {
    [sym_block] = STATE(10),
    [sym__argument] = STATE(3),
    [sym_operator] = STATE(3),
    [aux_sym_statement_repeat1] = STATE(3),
    [ts_builtin_sym_end] = ACTIONS(13),
    [sym_word] = ACTIONS(15),
    [anon_sym_LBRACE] = ACTIONS(17),
    [aux_sym_block_token1] = ACTIONS(17),
    [anon_sym_RBRACE] = ACTIONS(13),
    [aux_sym__end_token1] = ACTIONS(19),
    [anon_sym_SEMI] = ACTIONS(13),
    [anon_sym_LPAREN] = ACTIONS(21),
    [anon_sym_RPAREN] = ACTIONS(21),
    [sym_continuation] = ACTIONS(21),
    [sym_comma] = ACTIONS(21),
    [anon_sym_PIPE] = ACTIONS(23),
    [anon_sym_EQ] = ACTIONS(23),
    [anon_sym_BANG_EQ] = ACTIONS(23),
    [anon_sym_DASH_GT] = ACTIONS(23),
    [anon_sym_DOT_DOT] = ACTIONS(23),
    [sym_quantity] = ACTIONS(21),
    [sym_string] = ACTIONS(21),
    [sym_regex] = ACTIONS(21),
    [sym_path] = ACTIONS(21),
    [sym_parameter] = ACTIONS(21),
    [sym_doc] = ACTIONS(3),
    [sym_comment] = ACTIONS(5),
  },
  [3] = {
    [sym_block] = STATE(12),
    [sym__argument] = STATE(4),
    [sym_operator] = STATE(4),
    [aux_sym_statement_repeat1] = STATE(4),
    [ts_builtin_sym_end] = ACTIONS(25),
    [sym_word] = ACTIONS(27),
    [anon_sym_LBRACE] = ACTIONS(17),
    [aux_sym_block_token1] = ACTIONS(17),
    [anon_sym_RBRACE] = ACTIONS(25),
    [aux_sym__end_token1] = ACTIONS(29),
    [anon_sym_SEMI] = ACTIONS(25),
    [anon_sym_LPAREN] = ACTIONS(31),
    [anon_sym_RPAREN] = ACTIONS(31),
    [sym_continuation] = ACTIONS(31),
    [sym_comma] = ACTIONS(31),
    [anon_sym_PIPE] = ACTIONS(23),
    [anon_sym_EQ] = ACTIONS(23),
    [anon_sym_BANG_EQ] = ACTIONS(23),
    [anon_sym_DASH_GT] = ACTIONS(23),
    [anon_sym_DOT_DOT] = ACTIONS(23),
    [sym_quantity] = ACTIONS(31),
    [sym_string] = ACTIONS(31),
    [sym_regex] = ACTIONS(31),
    [sym_path] = ACTIONS(31),
    [sym_parameter] = ACTIONS(31),
    [sym_doc] = ACTIONS(3),
    [sym_comment] = ACTIONS(5),
  },
  [4] = {
    [sym__argument] = STATE(4),
    [sym_operator] = STATE(4),
    [aux_sym_statement_repeat1] = STATE(4),
    [ts_builtin_sym_end] = ACTIONS(33),
    [sym_word] = ACTIONS(35),
    [anon_sym_LBRACE] = ACTIONS(33),
    [aux_sym_block_token1] = ACTIONS(33),
    [anon_sym_RBRACE] = ACTIONS(33),
    [aux_sym__end_token1] = ACTIONS(38),
    [anon_sym_SEMI] = ACTIONS(33),
    [anon_sym_LPAREN] = ACTIONS(40),
    [anon_sym_RPAREN] = ACTIONS(40),
    [sym_continuation] = ACTIONS(40),
    [sym_comma] = ACTIONS(40),
    [anon_sym_PIPE] = ACTIONS(43),
    [anon_sym_EQ] = ACTIONS(43),
    [anon_sym_BANG_EQ] = ACTIONS(43),
    [anon_sym_DASH_GT] = ACTIONS(43),
    [anon_sym_DOT_DOT] = ACTIONS(43),
    [sym_quantity] = ACTIONS(40),
    [sym_string] = ACTIONS(40),
    [sym_regex] = ACTIONS(40),
    [sym_path] = ACTIONS(40),
    [sym_parameter] = ACTIONS(40),
    [sym_doc] = ACTIONS(3),
    [sym_comment] = ACTIONS(5),
  },
  [5] = {
    [ts_builtin_sym_end] = ACTIONS(46),
    [sym_word] = ACTIONS(48),
    [anon_sym_LBRACE] = ACTIONS(46),
    [aux_sym_block_token1] = ACTIONS(46),
    [anon_sym_RBRACE] = ACTIONS(46),
    [aux_sym__end_token1] = ACTIONS(48),
    [anon_sym_SEMI] = ACTIONS(46),
    [anon_sym_LPAREN] = ACTIONS(46),
    [anon_sym_RPAREN] = ACTIONS(46),
    [sym_continuation] = ACTIONS(46),
    [sym_comma] = ACTIONS(46),
    [anon_sym_PIPE] = ACTIONS(46),
    [anon_sym_EQ] = ACTIONS(46),
    [anon_sym_BANG_EQ] = ACTIONS(46),
    [anon_sym_DASH_GT] = ACTIONS(46),
    [anon_sym_DOT_DOT] = ACTIONS(46),
    [sym_quantity] = ACTIONS(46),
    [sym_string] = ACTIONS(46),
    [sym_regex] = ACTIONS(46),
    [sym_path] = ACTIONS(46),
    [sym_parameter] = ACTIONS(46),
    [sym_doc] = ACTIONS(3),
    [sym_comment] = ACTIONS(5),
  },
};

static const uint16_t ts_small_parse_table[] = {
  [0] = 6,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(52), 1,
      sym_word,
    ACTIONS(50), 2,
      ts_builtin_sym_end,
      anon_sym_RBRACE,
    ACTIONS(55), 2,
      aux_sym__end_token1,
      anon_sym_SEMI,
    STATE(6), 3,
      sym_statement,
      sym__end,
      aux_sym_source_file_repeat1,
  [23] = 6,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(9), 1,
      sym_word,
    ACTIONS(58), 1,
      ts_builtin_sym_end,
    ACTIONS(60), 2,
      aux_sym__end_token1,
      anon_sym_SEMI,
    STATE(6), 3,
      sym_statement,
      sym__end,
      aux_sym_source_file_repeat1,
  [45] = 6,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(9), 1,
      sym_word,
    ACTIONS(62), 1,
      anon_sym_RBRACE,
    ACTIONS(64), 2,
      aux_sym__end_token1,
      anon_sym_SEMI,
    STATE(9), 3,
      sym_statement,
      sym__end,
      aux_sym_source_file_repeat1,
  [67] = 6,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(9), 1,
      sym_word,
    ACTIONS(66), 1,
      anon_sym_RBRACE,
    ACTIONS(60), 2,
      aux_sym__end_token1,
      anon_sym_SEMI,
    STATE(6), 3,
      sym_statement,
      sym__end,
      aux_sym_source_file_repeat1,
  [89] = 3,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(25), 5,
      ts_builtin_sym_end,
      anon_sym_RBRACE,
      aux_sym__end_token1,
      anon_sym_SEMI,
      sym_word,
  [103] = 3,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(68), 5,
      ts_builtin_sym_end,
      anon_sym_RBRACE,
      aux_sym__end_token1,
      anon_sym_SEMI,
      sym_word,
  [117] = 3,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(70), 5,
      ts_builtin_sym_end,
      anon_sym_RBRACE,
      aux_sym__end_token1,
      anon_sym_SEMI,
      sym_word,
  [131] = 3,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(72), 5,
      ts_builtin_sym_end,
      anon_sym_RBRACE,
      aux_sym__end_token1,
      anon_sym_SEMI,
      sym_word,
  [145] = 3,
    ACTIONS(3), 1,
      sym_doc,
    ACTIONS(5), 1,
      sym_comment,
    ACTIONS(74), 1,
      ts_builtin_sym_end,
};

static const uint32_t ts_small_parse_table_map[] = {
  [SMALL_STATE(6)] = 0,
  [SMALL_STATE(7)] = 23,
  [SMALL_STATE(8)] = 45,
  [SMALL_STATE(9)] = 67,
  [SMALL_STATE(10)] = 89,
  [SMALL_STATE(11)] = 103,
  [SMALL_STATE(12)] = 117,
  [SMALL_STATE(13)] = 131,
  [SMALL_STATE(14)] = 145,
};

static const TSParseActionEntry ts_parse_actions[] = {
  [0] = {.entry = {.count = 0, .reusable = false}},
  [1] = {.entry = {.count = 1, .reusable = false}}, RECOVER(),
  [3] = {.entry = {.count = 1, .reusable = true}}, SHIFT_EXTRA(),
  [5] = {.entry = {.count = 1, .reusable = false}}, SHIFT_EXTRA(),
  [7] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_source_file, 0, 0, 0),
  [9] = {.entry = {.count = 1, .reusable = true}}, SHIFT(2),
  [11] = {.entry = {.count = 1, .reusable = true}}, SHIFT(7),
  [13] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_statement, 1, 0, 1),
  [15] = {.entry = {.count = 1, .reusable = false}}, SHIFT(3),
  [17] = {.entry = {.count = 1, .reusable = true}}, SHIFT(8),
  [19] = {.entry = {.count = 1, .reusable = false}}, REDUCE(sym_statement, 1, 0, 1),
  [21] = {.entry = {.count = 1, .reusable = true}}, SHIFT(3),
  [23] = {.entry = {.count = 1, .reusable = true}}, SHIFT(5),
  [25] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_statement, 2, 0, 1),
  [27] = {.entry = {.count = 1, .reusable = false}}, SHIFT(4),
  [29] = {.entry = {.count = 1, .reusable = false}}, REDUCE(sym_statement, 2, 0, 1),
  [31] = {.entry = {.count = 1, .reusable = true}}, SHIFT(4),
  [33] = {.entry = {.count = 1, .reusable = true}}, REDUCE(aux_sym_statement_repeat1, 2, 0, 0),
  [35] = {.entry = {.count = 2, .reusable = false}}, REDUCE(aux_sym_statement_repeat1, 2, 0, 0), SHIFT_REPEAT(4),
  [38] = {.entry = {.count = 1, .reusable = false}}, REDUCE(aux_sym_statement_repeat1, 2, 0, 0),
  [40] = {.entry = {.count = 2, .reusable = true}}, REDUCE(aux_sym_statement_repeat1, 2, 0, 0), SHIFT_REPEAT(4),
  [43] = {.entry = {.count = 2, .reusable = true}}, REDUCE(aux_sym_statement_repeat1, 2, 0, 0), SHIFT_REPEAT(5),
  [46] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_operator, 1, 0, 0),
  [48] = {.entry = {.count = 1, .reusable = false}}, REDUCE(sym_operator, 1, 0, 0),
  [50] = {.entry = {.count = 1, .reusable = true}}, REDUCE(aux_sym_source_file_repeat1, 2, 0, 0),
  [52] = {.entry = {.count = 2, .reusable = true}}, REDUCE(aux_sym_source_file_repeat1, 2, 0, 0), SHIFT_REPEAT(2),
  [55] = {.entry = {.count = 2, .reusable = true}}, REDUCE(aux_sym_source_file_repeat1, 2, 0, 0), SHIFT_REPEAT(6),
  [58] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_source_file, 1, 0, 0),
  [60] = {.entry = {.count = 1, .reusable = true}}, SHIFT(6),
  [62] = {.entry = {.count = 1, .reusable = true}}, SHIFT(11),
  [64] = {.entry = {.count = 1, .reusable = true}}, SHIFT(9),
  [66] = {.entry = {.count = 1, .reusable = true}}, SHIFT(13),
  [68] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_block, 2, 0, 0),
  [70] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_statement, 3, 0, 1),
  [72] = {.entry = {.count = 1, .reusable = true}}, REDUCE(sym_block, 3, 0, 0),
  [74] = {.entry = {.count = 1, .reusable = true}},  ACCEPT_INPUT(),
};

#ifdef __cplusplus
extern "C" {
#endif
#ifdef TREE_SITTER_HIDE_SYMBOLS
#define TS_PUBLIC
#elif defined(_WIN32)
#define TS_PUBLIC __declspec(dllexport)
#else
#define TS_PUBLIC __attribute__((visibility("default")))
#endif

TS_PUBLIC const TSLanguage *tree_sitter_mesh(void) {
  static const TSLanguage language = {
    .version = LANGUAGE_VERSION,
    .symbol_count = SYMBOL_COUNT,
    .alias_count = ALIAS_COUNT,
    .token_count = TOKEN_COUNT,
    .external_token_count = EXTERNAL_TOKEN_COUNT,
    .state_count = STATE_COUNT,
    .large_state_count = LARGE_STATE_COUNT,
    .production_id_count = PRODUCTION_ID_COUNT,
    .field_count = FIELD_COUNT,
    .max_alias_sequence_length = MAX_ALIAS_SEQUENCE_LENGTH,
    .parse_table = &ts_parse_table[0][0],
    .small_parse_table = ts_small_parse_table,
    .small_parse_table_map = ts_small_parse_table_map,
    .parse_actions = ts_parse_actions,
    .symbol_names = ts_symbol_names,
    .field_names = ts_field_names,
    .field_map_slices = ts_field_map_slices,
    .field_map_entries = ts_field_map_entries,
    .symbol_metadata = ts_symbol_metadata,
    .public_symbol_map = ts_symbol_map,
    .alias_map = ts_non_terminal_alias_map,
    .alias_sequences = &ts_alias_sequences[0][0],
    .lex_modes = ts_lex_modes,
    .lex_fn = ts_lex,
    .keyword_lex_fn = ts_lex_keywords,
    .keyword_capture_token = sym_word,
    .primary_state_ids = ts_primary_state_ids,
  };
  return &language;
}
#ifdef __cplusplus
}
#endif
