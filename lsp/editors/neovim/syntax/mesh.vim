" What colours there are before the server is there: words, comments, texts, numbers.
if exists('b:current_syntax')
  finish
endif
syntax match meshComment /#.*$/ contains=@Spell
syntax region meshString start=/"/ skip=/\\"/ end=/"\|$/
syntax region meshRegex start=/re"/ skip=/\\"/ end=/"\|$/
syntax match meshPath /\s\@<=\/[^ ,;]*/
syntax match meshNumber /\<\d[0-9.]*\(ms\|s\|m\|h\|%\|\/s\|\/m\|\/h\|B\|KiB\|MiB\)\?\>\?/
syntax match meshParam /\$[a-z][a-z0-9-]*/
syntax match meshMethod /\<\(GET\|HEAD\|POST\|PUT\|PATCH\|DELETE\|OPTIONS\)\>/
syntax match meshStatement /\(^\|[{;]\)\s*\zs[a-z][a-z0-9-]*/
syntax keyword meshWord from to when and not except overrides expect port host listener namespace gateway identity any anyone authenticated unauthenticated rest none present absent prefix suffix has matches header query cookie claim path
" `contains` is a word of Vim's own in a list of keywords.
syntax match meshWord /\<contains\>/
highlight default link meshComment Comment
highlight default link meshString String
highlight default link meshRegex String
highlight default link meshPath Constant
highlight default link meshNumber Number
highlight default link meshParam Identifier
highlight default link meshMethod Function
highlight default link meshStatement Statement
highlight default link meshWord Keyword
let b:current_syntax = 'mesh'
