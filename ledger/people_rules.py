"""What must always hold for operators: a part of ledger/invariants.py.

Whoever writes a role into the table by hand has nobody's approval, and that is seen.
"""

RULES = {
    "who works with the books was let in by two persons": """
        SELECT c.number, c.verb, c.login FROM operator_change c
        LEFT JOIN operator_proposal p ON p.number = c.proposal AND p.verb = c.verb
            AND p.login = c.login AND p.department = c.department AND p.roles = c.roles
            AND p.person <> c.person
            AND EXISTS (SELECT 1 FROM operator o WHERE o.login = p.person)
        WHERE c.verb IN ('enrol', 'change', 'reset') AND p.number IS NULL
        OR c.verb = 'found' AND c.number > 2 OR c.verb <> 'found' AND c.number <= 2""",
    "an operator is what was approved last": """
        SELECT o.login, o.roles FROM operator o
        LEFT JOIN operator_change c ON c.number = (SELECT MAX(number) FROM operator_change
            WHERE login = o.login)
        LEFT JOIN operator_change l ON l.number = (SELECT MAX(number) FROM operator_change
            WHERE login = o.login AND verb NOT IN ('change', 'unlock'))
        WHERE c.number IS NULL OR c.department <> o.department OR c.roles <> o.roles
        OR o.is_active <> CASE l.verb WHEN 'disable' THEN 0 ELSE 1 END""",
}
