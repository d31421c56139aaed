(statement) @function.around
(block) @function.inside
(comment) @comment.around
(doc) @comment.around
