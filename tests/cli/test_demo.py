"""The model that ships: found without being named, right on held-out problems of every family and language."""
import json
import subprocess
import sys
import tempfile

import support

PROBLEMS = support.SOURCE / "models/demo/problems.py"


class Demo(support.Case):
    def test_it_answers_without_being_named(self):
        result = self.ok("run", "What is 25 + 38?", "--temp", "0")
        self.assertTrue(result.out.startswith("<think>\n25+38\n"), result.out)
        self.assertTrue(result.out.rstrip().endswith("63"), result.out)

    def test_120_problems_reach_90_percent_and_every_family_and_language_80(self):
        lines = subprocess.run([sys.executable, str(PROBLEMS), "--seed", "2024", "--count", "120"], check=True,
                               capture_output=True, text=True).stdout
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(lines)
            file.flush()
            model = str(support.SOURCE / "models/demo/coterie-demo.gguf")
            scores = self.ok("eval", model, "--problems", file.name, "--json", timeout=240).json()
            self.assertGreaterEqual(scores["overall"], 0.9)
            for rates in (scores["by_family"], scores["by_language"]):
                for name, rate in rates.items():
                    self.assertGreaterEqual(rate, 0.8, name)

            # The bar can be missed: the same problems with other answers score nothing.
            file.seek(0)
            file.truncate()
            for line in lines.splitlines()[:15]:
                problem = json.loads(line)
                problem["answer"] += "0"
                file.write(json.dumps(problem) + "\n")
            file.flush()
            self.assertEqual(self.ok("eval", model, "--problems", file.name, "--json").json()["overall"], 0)


if __name__ == "__main__":
    support.main()
