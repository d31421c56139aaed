-- A real Neovim with the plugin: nvim --headless -u NONE --cmd 'set rtp^=lsp/editors/neovim' -l tests/real/editors/neovim.lua DIRECTORY
-- It shows what is wrong, completes, hovers, renames in two files and formats; the exit code says whether all of it held.
local root = assert(vim.fn.argv(0) ~= '' and vim.fn.argv(0) or arg[1], 'a directory to work in')

local function check(what, holds)
  if not holds then
    io.stderr:write('neovim: ' .. what .. ' does not hold\n')
    os.exit(1)
  end
  io.stdout:write('neovim: ' .. what .. '\n')
end

local function wait(what, condition)
  check(what, vim.wait(20000, condition, 20))
end

local function write(path, lines)
  vim.fn.mkdir(vim.fs.dirname(root .. '/' .. path), 'p')
  vim.fn.writefile(lines, root .. '/' .. path)
end

write('.git/HEAD', { '' })
write('cart.mesh', {
  'service cart {',
  '  port 8080 http',
  '}',
  '',
  'authorize cart {',
  '  allow from page to GET /cart/{id}',
  '}',
})
write('page.mesh', { 'service page {', '  calls carrt to GET /cart/{id}', '}' })

vim.cmd('filetype plugin indent on')
vim.cmd('syntax on')
vim.cmd('runtime! plugin/mesh.lua')
vim.cmd.edit(root .. '/page.mesh')
check('the file type is known', vim.bo.filetype == 'mesh')
check('comments are', vim.bo.commentstring == '# %s')
wait('the server is there', function()
  return #(vim.lsp.get_clients or vim.lsp.get_active_clients)({ bufnr = 0 }) > 0
end)
wait('a mistake is shown', function()
  local found = vim.diagnostic.get(0)
  return #found > 0 and found[1].code == 'MESH2001'
end)

-- Written over as a person would.
vim.api.nvim_buf_set_lines(0, 1, 2, true, { '  calls cart to   GET /cart/{id}' })
wait('the mistake goes away while it is typed', function()
  return #vim.diagnostic.get(0) == 0
end)

local function ask(method, params)
  local answers = vim.lsp.buf_request_sync(0, method, params, 20000)
  for _, answer in pairs(answers or {}) do
    return answer.result
  end
end

vim.api.nvim_win_set_cursor(0, { 2, 9 })
local place = vim.lsp.util.make_position_params(0, 'utf-8')
local found = ask('textDocument/completion', place)
local labels = vim.tbl_map(function(item)
  return item.label
end, found.items)
check('services are offered', vim.tbl_contains(labels, 'cart'))
check('hovering says what holds', ask('textDocument/hover', place).contents.value:find('service cart.default', 1, true) ~= nil)

vim.lsp.buf.format({ async = false, timeout_ms = 20000 })
check('the file is formatted', vim.api.nvim_buf_get_lines(0, 1, 2, true)[1] == '  calls cart to GET /cart/{id}')

vim.api.nvim_win_set_cursor(0, { 2, 9 })
vim.lsp.buf.rename('basket')
wait('the name is another here', function()
  return vim.api.nvim_buf_get_lines(0, 1, 2, true)[1] == '  calls basket to GET /cart/{id}'
end)
local other = vim.fn.bufnr(root .. '/cart.mesh')
check('and in the other file', vim.api.nvim_buf_get_lines(other, 0, 1, true)[1] == 'service basket {')
wait('nothing is wrong then', function()
  return #vim.diagnostic.get(nil) == 0
end)
vim.cmd('silent! wall')
vim.cmd('qall!')
