(doc) @comment.documentation
(comment) @comment
(keyword) @keyword
(continuation) @keyword
((word) @function.method
  (#match? @function.method "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$"))
((word) @keyword.operator
  (#match? @keyword.operator "^(any|anyone|authenticated|unauthenticated|namespace|gateway|identity|from|to|except|when|and|not|in|on|per|port|host|listener|rest|none|expect|overrides|present|absent|has|prefix|suffix|contains|matches|grpc|header|query|cookie|claim|path|label|cluster)$"))
(statement
  keyword: (keyword) @_declares
  .
  (word) @type
  (#match? @_declares "^(service|gateway|module|mesh|profile|group|split|jwt|route|authorize|guardrail|rule|subset|listener|param)$"))
(quantity) @number
(string) @string
(regex) @string.regexp
(path) @string.special.path
(parameter) @variable.parameter
(operator) @operator
(comma) @punctuation.delimiter
["{" "}" "(" ")"] @punctuation.bracket
