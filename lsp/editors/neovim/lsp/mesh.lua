-- Neovim 0.11 and later: `vim.lsp.enable('mesh')` finds this by its name.
return {
  cmd = { 'mesh', 'lsp' },
  filetypes = { 'mesh' },
  root_markers = { '.git' },
}
