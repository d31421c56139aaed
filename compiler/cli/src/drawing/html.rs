//! Pictures as a page that needs nothing beside it: moved and zoomed with the pointer, searched by name, and what a box is about stands out
//! where the pointer rests on it. Of several pictures one is seen at a time, and the boxes of the first lead to the others.

use super::Picture;
use super::svg::{escaped, svg};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;font:15px/1.4 system-ui,sans-serif;display:flex;flex-direction:column;height:100vh;background:#fff;color:#1b1f24}\
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e8eaed}}\
header{display:flex;flex-wrap:wrap;gap:.8rem;align-items:center;padding:.5rem 1rem;border-bottom:1px solid #8886}\
h1{font-size:1rem;margin:0}input,button{font:inherit;padding:.2rem .5rem}header a{color:inherit}\
main{flex:1;overflow:hidden;cursor:grab;touch-action:none}main:active{cursor:grabbing}\
svg.mesh{transform-origin:0 0;overflow:visible}";

/// No name of the project is in it, so nothing an author writes is run.
const SCRIPT: &str = include_str!("html/page.js");

/// A page of pictures, each with the fragment that it is found by; the first is seen first.
pub(crate) fn html(pictures: &[(String, Picture)]) -> String {
    let title = escaped(pictures.first().map_or("", |(_, picture)| &picture.title));
    let back = match pictures {
        [(first, _), _, ..] => format!("<a href=\"#{}\">Overview</a>", escaped(first)),
        _ => String::new(),
    };
    let sections = pictures.iter().map(|(id, picture)| {
        let name = escaped(&picture.title);
        format!("<section id=\"{}\" data-title=\"{name}\">\n{}</section>\n", escaped(id), svg(picture, true))
    });
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<header><h1>{title}</h1>{back}<input type=\"search\" size=\"28\" placeholder=\"Search, Enter for the next\" aria-label=\"Search\">\
         <output></output><button id=\"in\" aria-label=\"Larger\">+</button><button id=\"out\" aria-label=\"Smaller\">−</button>\
         <button id=\"fit\">Fit</button></header>\n<main>\n{}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        sections.collect::<String>()
    )
}
