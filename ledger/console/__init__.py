"""The card centre's console: the departments' daily work in a browser (docs/adr/0074).

To add a page:

1. Write a module of its own beside `today.py`, named after its subject: `loss.py`. It has `PAGES`,
   rows of `asked.Page`: path, title in both languages, who sees it (verbs of ledger/people.py, or
   roles), what shows it, and if it does something what does it. The row is all there is: route,
   menu, rights, and the tests of security and rights of each page are made from it.
2. `show(asked)` gives `Shown("loss.html", {...})` and only reads; `do(asked)` is a form that was
   posted to the same path: it calls the ledger's own verbs with `asked.person` on `asked.store`,
   and gives the path to go to, such as f"/cards/{card_no}?done=lost" (the text `done_lost` is
   then shown). It is done once however often the form comes, in one transaction with the form's
   number: so it catches nothing that a verb raises. What it raises with a number (`Refused`, or an
   exception of `REFUSES`) rolls all of it back and shows the page again, with the reason in words.
   `is_once=False`: a verb that has its own way of being asked again and is longer than a turn.
3. A template in `web/` extends `layout.html`; each form has `{{ form() }}` in it (for another path
   `form("/cards/7/lose")`), labels, no inline script or style, and nothing from elsewhere.
4. `TEXTS` of the module: key -> (Chinese, English), `t.key` in the template; `REASONS`: number ->
   `refusals.Words` for new numbers, `REFUSES`: exceptions with a `reason` that its verbs raise;
   `WAITING`: functions that give what waits for `asked.person` on the first page.
5. Add the module to `SUBJECTS` of `pages.py`, and what stands for a new part of a path to EXAMPLES
   of tests/ledger/console/campus.py. Lists go on by a key behind which the next page begins.

What is personal is masked (ledger/privacy.py), and never stands in a path or a query.
"""
