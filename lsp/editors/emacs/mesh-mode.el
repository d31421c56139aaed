;;; mesh-mode.el --- Major mode for .mesh files  -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "27.1"))
;; Keywords: languages

;;; Commentary:

;; Colours, comments and indentation for `.mesh' files.  With eglot (part of Emacs since 29) `M-x eglot' starts `mesh lsp', which
;; does the rest.

;;; Code:

(defgroup mesh nil
  "Files of service mesh policy."
  :group 'languages)

(defcustom mesh-command '("mesh" "lsp")
  "The server of `.mesh' files, and its arguments."
  :type '(repeat string)
  :group 'mesh)

(defvar mesh-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?\" "\"" table)
    (modify-syntax-entry ?- "_" table)
    (modify-syntax-entry ?{ "(}" table)
    (modify-syntax-entry ?} "){" table)
    table)
  "Comments, strings and braces of `mesh-mode'.")

(defvar mesh-font-lock-keywords
  `(("\\(?:^\\|[{;]\\)[ \t]*\\([a-z][a-z0-9-]*\\)" 1 font-lock-keyword-face)
    (,(regexp-opt '("GET" "HEAD" "POST" "PUT" "PATCH" "DELETE" "OPTIONS") 'symbols) . font-lock-function-name-face)
    (,(regexp-opt '("from" "to" "when" "and" "not" "except" "overrides" "expect" "rest" "none" "anyone") 'symbols)
     . font-lock-keyword-face)
    ("\\$[a-z][a-z0-9-]*" . font-lock-variable-name-face)
    ("[ \t]\\(/[^ ,;\n]*\\)" 1 font-lock-constant-face))
  "What `mesh-mode' colours before the server is there.")

(defun mesh-indent-line ()
  "Indent by two spaces for each brace that is open; further lines of a statement by four more."
  (interactive)
  (let* ((continues "\\(?:when\\|and\\|except\\|expect\\)\\_>")
         (depth (save-excursion (back-to-indentation) (car (syntax-ppss))))
         (closes (save-excursion (back-to-indentation) (looking-at "}")))
         (more (save-excursion (back-to-indentation) (looking-at continues)))
         (column (+ (* 2 (max 0 (if closes (1- depth) depth))) (if more 4 0))))
    (if (<= (current-column) (current-indentation))
        (indent-line-to column)
      (save-excursion (indent-line-to column)))))

;;;###autoload
(define-derived-mode mesh-mode prog-mode "Mesh"
  "Major mode for `.mesh' files."
  (setq-local comment-start "# ")
  (setq-local comment-start-skip "#+ *")
  (setq-local indent-tabs-mode nil)
  (setq-local indent-line-function #'mesh-indent-line)
  (setq-local font-lock-defaults '(mesh-font-lock-keywords)))

;;;###autoload
(add-to-list 'auto-mode-alist '("\\.mesh\\'" . mesh-mode))

(defvar eglot-server-programs)
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs (cons 'mesh-mode (lambda (&rest _) mesh-command))))

(provide 'mesh-mode)
;;; mesh-mode.el ends here
