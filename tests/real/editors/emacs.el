;;; emacs.el --- A real Emacs with eglot  -*- lexical-binding: t; -*-
;; emacs --batch -L lsp/editors/emacs -l tests/real/editors/emacs.el DIRECTORY
;; It shows what is wrong, completes, renames in two files and formats; the exit code says whether all of it held.
;;; Code:
(require 'eglot)
(require 'flymake)
(require 'mesh-mode)

(defvar mesh-try-root (file-name-as-directory (expand-file-name (car command-line-args-left))))
(setq command-line-args-left nil)
(setq mesh-command (list (getenv "MESH") "lsp"))
(setq eglot-sync-connect t eglot-confirm-server-initiated-edits nil)

(defun mesh-try-check (what holds)
  "Say WHAT, or end with an error where it does not HOLD."
  (unless holds
    (message "emacs: %s does not hold" what)
    (kill-emacs 1))
  (message "emacs: %s" what))

(defun mesh-try-wait (what condition)
  "Wait until CONDITION holds, and say WHAT."
  (let ((end (+ (float-time) 20)))
    (while (and (not (funcall condition)) (< (float-time) end))
      (accept-process-output nil 0.05)
      (flymake-start)))
  (mesh-try-check what (funcall condition)))

(defun mesh-try-put (path text)
  "Write TEXT into PATH."
  (make-directory (file-name-directory (concat mesh-try-root path)) t)
  (write-region text nil (concat mesh-try-root path) nil 'silent))

(mesh-try-put ".git/HEAD" "ref: refs/heads/main\n")
(mesh-try-put "cart.mesh" "service cart {\n  port 8080 http\n}\n\nauthorize cart {\n  allow from page to GET /cart/{id}\n}\n")
(mesh-try-put "page.mesh" "service page {\n  calls carrt to GET /cart/{id}\n}\n")

(find-file (concat mesh-try-root "page.mesh"))
(mesh-try-check "the mode is known" (eq major-mode 'mesh-mode))
(font-lock-ensure)
(mesh-try-check "keywords are coloured" (eq (get-text-property (point-min) 'face) 'font-lock-keyword-face))
(call-interactively #'eglot)
(mesh-try-check "the server is there" (eglot-current-server))
(flymake-mode 1)

(mesh-try-wait "a mistake is shown"
      (lambda () (seq-find (lambda (one) (string-match-p "unknown service" (flymake-diagnostic-text one)))
                           (flymake-diagnostics))))
(goto-char (point-min))
(search-forward "carrt to ")
(replace-match "cart to   ")
(eglot--signal-textDocument/didChange)
(mesh-try-wait "the mistake goes away while it is typed" (lambda () (null (flymake-diagnostics))))

(goto-char (point-min))
(search-forward "calls ca")
(let* ((capf (eglot-completion-at-point))
       (found (all-completions "ca" (nth 2 capf))))
  (mesh-try-check "services are offered" (seq-find (lambda (one) (string-match-p "cart" one)) found)))

(eglot-format-buffer)
(mesh-try-check "the file is formatted" (string-match-p "^  calls cart to GET /cart/{id}$" (buffer-string)))

(goto-char (point-min))
(search-forward "calls ca")
(cl-letf (((symbol-function 'y-or-n-p) (lambda (&rest _) t)))
  (eglot-rename "basket"))
(mesh-try-check "the name is another here" (string-match-p "calls basket to" (buffer-string)))
(mesh-try-check "and in the other file"
       (with-current-buffer (find-file-noselect (concat mesh-try-root "cart.mesh"))
         (string-match-p "service basket {" (buffer-string))))
(goto-char (point-min))
(search-forward "calls basket")
(end-of-line)
(newline)
(insert "timeout 1s")
(mesh-indent-line)
(mesh-try-check "lines are indented" (save-excursion (beginning-of-line) (looking-at "  timeout 1s")))
(kill-emacs 0)
;;; emacs.el ends here
