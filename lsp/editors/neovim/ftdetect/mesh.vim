autocmd BufRead,BufNewFile *.mesh setfiletype mesh
