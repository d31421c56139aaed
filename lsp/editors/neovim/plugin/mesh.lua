-- Starts `mesh lsp` for `.mesh` files. `vim.g.mesh_command` names another program: { '/opt/mesh/bin/mesh', 'lsp' }.
if vim.g.loaded_mesh then
  return
end
vim.g.loaded_mesh = true

if vim.lsp.enable then
  if vim.g.mesh_command then
    vim.lsp.config('mesh', { cmd = vim.g.mesh_command })
  end
  vim.lsp.enable('mesh')
elseif vim.lsp.start then
  -- Neovim 0.8 to 0.10.
  vim.api.nvim_create_autocmd('FileType', {
    pattern = 'mesh',
    callback = function(event)
      local file = vim.api.nvim_buf_get_name(event.buf)
      local git = vim.fs.find('.git', { path = file, upward = true })[1]
      vim.lsp.start({
        name = 'mesh',
        cmd = vim.g.mesh_command or { 'mesh', 'lsp' },
        root_dir = git and vim.fs.dirname(git) or vim.fs.dirname(file),
      })
    end,
  })
end
