"""A browser looks at a running cluster, sees a link collapse and the plan change, and changes the policy."""

import json
import os
import re
import signal
import unittest

from playwright.sync_api import expect

from support import HERE, Browser, Demo, Guarded, faults, picture, until

WORKERS = ["camera", "doorbell", "router"]


class LivePage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Browser())
        cls.demo = cls.enterClassContext(Demo())

    def tearDown(self):
        outcome = self._outcome.result
        if outcome.errors or outcome.failures:
            print(self.demo.logs())

    def open(self, **options):
        page = self.browser.open(self.demo.url, **options)
        expect(page.locator("#connection")).to_have_text("Live")
        return page

    def quiet(self, page, *expected):
        """The console said nothing but what was provoked."""
        page.said = [text for text in page.said if not any(word in text for word in expected)]
        self.assertEqual([], page.said)

    def test_1_a_link_collapses_and_the_plan_changes(self):
        page = self.open()
        self.sees_the_cluster(page)
        page.get_by_role("button", name="As tables").click()
        rows = page.locator("#tables tr").filter(has_text="camera")
        expect(rows.locator("td.fallen").first).to_be_visible(timeout=40_000)
        page.get_by_role("button", name="As tables").click()
        name = f"plan {until('a plan because of it', self.plan_after_collapse)}"
        replan = page.locator("#timeline .replan").filter(has_text=f"{name}")
        expect(replan).to_contain_text(re.compile(r"goodput of .*camera.*[\d.]+\s.?B/s → [\d.]+\s.?B/s"))
        expect(page.locator("#spoken")).to_contain_text(f"{name}.")
        picture(page, "collapse")
        self.quiet(page)

    def plan_after_collapse(self):
        """The epoch of the plan that was decided because a link of the camera's lost most of its goodput."""
        for record in json.loads(self.demo.call("plans?limit=50"))["plans"]:
            for shift in record["decision"]["shifted"][:3]:
                fell = "goodput" in shift["what"] and "camera" in shift["what"] and shift["before"] and shift["after"]
                if fell and shift["after"] < 0.5 * shift["before"] and record["state"] == "committed":
                    return record["plan"].split(".")[1]

    def sees_the_cluster(self, page):
        for name in WORKERS:
            card = page.locator(".card", has=page.get_by_role("heading", name=name))
            expect(card).to_be_visible()
            for figure in [r"Load\s+\d+", r"Memory\s+[\d.]+\sMB", r"Power, estimated\s+[\d.]+\sW"]:
                expect(card).to_contain_text(re.compile(figure.replace(r"\s+", r"\s*")))
        expect(page.locator(".label").first).to_contain_text(re.compile(r"RTT [\d.]+\s\w+.*B/s.*loss"))
        self.assertEqual(11, page.locator("#blocks .cell").count())
        expect(page.locator("#network-name")).to_have_text("resnet20")
        # Answers come in; dots show it.
        expect(page.locator(".figure-box .big").first).to_have_text(re.compile(r"[\d.]+"))
        expect(page.locator(".picture .dot").first).to_be_attached()
        dropped = [block for block in self.demo.state()["network"]["blocks"] if block["residual"] == "off"]
        self.assertEqual(len(dropped), page.locator("#blocks .branch.off").count())

    def test_2_another_policy_is_previewed_and_applied(self):
        page = self.open()
        before = self.demo.state()
        page.get_by_label("Make small").select_option("energy")
        bound = page.get_by_label("Accuracy lost, at most")
        bound.fill("5")
        page.get_by_role("button", name="Preview the plan").click()
        expect(page.locator("#policy-result")).to_contain_text("This policy would give")
        expect(page.locator("#policy-result tbody tr").first).to_contain_text(
            re.compile(r"Latency[\d.]+\sm?s[\d.]+\sm?s")
        )
        self.assertEqual(before["policy_etag"], self.demo.state()["policy_etag"], "a preview changes nothing")
        picture(page, "preview")
        page.get_by_role("button", name="Apply this policy").click()
        expect(page.locator("#policy-result")).to_contain_text("in force")
        self.assertIn('minimise = "energy"', self.demo.call("policy"))
        expect(page.locator("#timeline .replan h3").first).to_contain_text("Policy changed")
        until("the plan of the policy", lambda: self.demo.state()["plan"]["epoch"] > before["plan"]["epoch"])
        expect(page.locator("#network-line")).to_contain_text("dropped")
        picture(page, "applied")
        self.quiet(page)

    def test_3_a_policy_that_somebody_else_changed_is_not_overwritten(self):
        page = self.open()
        page.get_by_label("Latency, at most").fill("900")
        page.get_by_role("button", name="Preview the plan").click()
        apply = page.get_by_role("button", name="Apply this policy")
        expect(apply).to_be_visible()
        theirs = self.demo.call("policy") + "\n# theirs\n"
        self.assertIsNotNone(self.demo.call("policy", "PUT", theirs, Content_Type="application/toml", If_Match="*"))
        apply.click()
        expect(page.locator("#policy-result")).to_contain_text("Somebody has changed the policy")
        self.assertEqual(theirs, self.demo.call("policy"))
        page.get_by_role("button", name="Show me the new one").click()
        page.get_by_text("As text").click()
        expect(page.get_by_label("Policy as TOML")).to_have_value(theirs)
        page.get_by_label("Policy as TOML").fill("[bounds]\nlatency_seconds = -1.0\n")
        page.get_by_role("button", name="Preview the plan").click()
        expect(page.locator("#policy-result")).to_contain_text("latency_seconds")
        self.assertEqual(theirs, self.demo.call("policy"))
        self.quiet(page, "status of 412", "status of 422", "status of 400")

    def test_4_what_accuracy_costs(self):
        page = self.open()
        points = page.locator("#pareto .dot-of")
        expect(points.first).to_be_visible()
        points.first.focus()
        expect(page.locator("#pareto .detail")).to_contain_text("points lost")
        expect(page.locator("#pareto .today")).to_have_count(1)
        self.quiet(page)

    def test_5_replanning_is_paused_and_a_worker_drained_by_keyboard(self):
        page = self.open()
        page.get_by_role("button", name="Pause", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.locator("#replanning-line")).to_contain_text("paused")
        page.keyboard.press("Enter")
        expect(page.locator("#replanning-line")).to_have_text("automatic")
        name = self.demo.state()["plan"]["stages"][0]["worker"]
        page.get_by_label(f"Actions for {name}").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Drain")
        page.keyboard.press("Enter")
        card = page.locator(".card", has=page.get_by_role("heading", name=name))
        expect(card).to_contain_text("standing by")
        self.assertNotIn(name, [stage["worker"] for stage in self.demo.state()["plan"]["stages"]])
        page.keyboard.press("Escape")
        expect(page.locator(":focus")).to_have_attribute("aria-label", f"Actions for {name}")
        self.assertIsNotNone(self.demo.call(f"workers/{name}/uncordon", "POST", ""))
        self.quiet(page)

    def test_6_a_connection_is_pinned(self):
        page = self.open()
        block = next(block["name"] for block in self.demo.state()["network"]["blocks"] if block["residual"] == "off")
        button = page.get_by_role("button", name=block)
        button.click()
        branch = page.get_by_role("group", name="Residual branch")
        expect(branch.get_by_label("as the plan decides")).to_be_checked()
        self.assertEqual([], faults(page))
        branch.get_by_label("always active").check()
        page.get_by_role("button", name="Pin it so").click()
        expect(page.locator("#network-line")).to_contain_text(f"pinned: F:{block} on")
        expect(button).to_contain_text("residual branch active")
        button.click()
        branch.get_by_label("as the plan decides").check()
        page.get_by_role("button", name="Pin it so").click()
        expect(page.locator("#network-line")).not_to_contain_text("pinned")
        self.quiet(page)

    def test_7_everybody_can_use_it(self):
        for size, scheme in [
            ("desktop", "light"),
            ("desktop", "dark"),
            ("phone", "light"),
            ("phone", "dark"),
            ("narrow", "light"),
        ]:
            with self.subTest(size=size, scheme=scheme):
                page = self.open(size=size, scheme=scheme)
                expect(page.locator("#pareto .dot-of").first).to_be_visible()
                self.assertEqual([], faults(page))
                width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
                self.assertLessEqual(*width, "the page is wider than the window")
                picture(page, f"{size}-{scheme}")
                page.get_by_role("button", name="As tables").click()
                page.get_by_text("As text").click()
                self.assertEqual([], faults(page))
                self.quiet(page)

    def test_7_dark_and_light_by_hand_and_no_motion_where_none_is_wanted(self):
        page = self.open(motion="reduce")
        paper = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(paper)
        theme = page.get_by_role("button", name="Theme")
        theme.click()
        theme.click()
        self.assertNotEqual(light, page.evaluate(paper))
        page.reload()
        expect(theme).to_have_text("Theme: dark")
        expect(page.locator("#connection")).to_have_text("Live")
        page.wait_for_timeout(2000)
        self.assertEqual(0, page.locator(".picture .dot").count())
        self.quiet(page)

    def test_8_the_modules_that_only_compute(self):
        page = self.open()
        failed = page.evaluate((HERE / "modules.js").read_text())
        self.assertEqual([], failed)

    def test_9_a_lost_connection_is_said_and_found_again(self):
        page = self.open()
        orchestrator = self.demo.still()
        try:
            expect(page.locator("#connection")).to_contain_text("Connection lost", timeout=15_000)
            expect(page.locator("body")).to_have_class(re.compile("stale"))
            picture(page, "stale")
        finally:
            os.kill(orchestrator, signal.SIGCONT)
        expect(page.locator("#connection")).to_have_text("Live", timeout=15_000)
        self.quiet(page, "ERR_", "Failed to fetch")


class Tokens(unittest.TestCase):
    def test_the_page_asks_for_a_token_and_says_what_a_viewer_may_not_do(self):
        with Browser() as browser, Guarded() as orchestrator:
            page = browser.open(orchestrator.url)
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("A token is needed")
            self.assertEqual([], faults(page))
            for wrong_then_right in ["not-the-token-of-anybody", orchestrator.viewer]:
                dialog.get_by_label("Token").fill(wrong_then_right)
                dialog.get_by_role("button", name="Use it").click()
                if wrong_then_right != orchestrator.viewer:
                    expect(dialog).to_contain_text("does not accept this token")
            expect(page.locator("#connection")).to_have_text("Live")
            expect(page.locator("#plan-line")).to_contain_text("no plan")
            page.get_by_role("button", name="Pause", exact=True).click()
            expect(page.locator("#replanning-answer")).to_contain_text("viewer")
            page.get_by_role("button", name="Token").click()
            dialog.get_by_label("Token").fill(orchestrator.admin)
            dialog.get_by_role("button", name="Use it").click()
            expect(page.locator("#connection")).to_have_text("Live")
            page.get_by_role("button", name="Pause", exact=True).click()
            expect(page.locator("#replanning-line")).to_contain_text("paused")
            self.assertEqual(0, page.evaluate("localStorage.length + document.cookie.length"))


if __name__ == "__main__":
    unittest.main()
