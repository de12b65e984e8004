import Foundation
import RetortCore
import RetortEvaluation
import Testing

/// The report in a real browser.
@Suite("The report in headless Chromium", .enabled(if: Browser.path != nil, "no chromium is installed"))
struct BrowserTests {
    @Test("rows and charts are drawn, a score's link opens its trajectories, and the console stays silent")
    func page() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-browser-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("report.html")
        try Data(ReportMaker.page.utf8).write(to: file)
        let page = try Browser.dump(file, fragment: "3m-agent-sag-math-out", in: folder)
        #expect(page.console.isEmpty, "\(page.console)")
        #expect(page.html.ranges(of: "<rect class=\"tone").count == 8)
        #expect(page.html.contains("3M agent+sag against 3M agent") || page.html.contains("against"))
        let group = try #require(page.html.firstRange(of: "id=\"3m-agent-sag-math-out\""))
        #expect(page.html[group.upperBound...].prefix(40).contains("open"), "the linked group is open")
        #expect(!page.html.contains("id=\"3m-agent-math-out\" open"))
        #expect(page.html.contains("<i class=\"k\">for</i>"), "code is highlighted")
        #expect(page.html.contains("3 candidates and their votes, 2 different"))
        #expect(page.html.contains("6 votes, chosen · 2 samples"))
        #expect(page.html.contains("error: NameError"))
        #expect(page.html.contains("One row a student") && page.html.contains("<b>75.0</b> <small>±"))
        #expect(page.html.contains("Math, out of domain, by level"))
        for (width, name) in [(1200, "wide"), (390, "phone")] {
            let picture = folder.appendingPathComponent("\(name).png")
            try Browser.screenshot(file, width: width, to: picture, in: folder)
            let size = try Data(contentsOf: picture).count
            #expect(size > 20_000, "\(name): the picture has \(size) bytes and so little on it")
        }
    }

    @Test("trajectories can be looked through by outcome and by words, and tables be scrolled with the keyboard")
    func filter() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-browser-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("report.html")
        let use = """
            <script>document.getElementById("find").value="glass ORCHARD";var show=document.getElementById("show");show.value="solved";\
            show.dispatchEvent(new Event("change"))</script></body>
            """
        try Data(ReportMaker.page.replacing("</body>", with: use).utf8).write(to: file)
        let page = try Browser.dump(file, fragment: "", in: folder)
        #expect(page.console.isEmpty, "\(page.console)")
        func count(_ text: String) -> Int { page.html.ranges(of: text).count }
        let (solved, failed) = (count("<details class=\"run solved\">"), count("<details class=\"run not-solved\">"))
        // 3 + 5 + 7 + 9 of each family are solved; one family's questions have the words.
        #expect(solved == 24 && failed == 0)
        #expect(count("<details class=\"run solved\" hidden=\"\">") == 24 && page.html.contains("24 found"))
        #expect(count("<details class=\"group\"") == 8 && count("math-out\" hidden=\"\">") == 4)
        #expect(count("<table>") == count("tabindex=\"0\" role=\"region\" aria-label="))
    }
}

/// A report with four systems, two families, errors, votes and levels.
enum ReportMaker {
    static var page: String { make().render() }

    static func make() -> HTMLReport {
        var summary = EvaluationSummary()
        var samples: [HTMLReport.Sample] = []
        var measured: [(name: String, records: [RunRecord])] = []
        for (offset, system) in ["cot", "cot+rag", "agent", "agent+sag"].enumerated() {
            var records: [RunRecord] = []
            for family in [AgentTask.Family.factual, .math] {
                for index in 0..<12 {
                    let run = trajectory(system, family, index)
                    let verdict = Verdict(
                        isCorrect: index < 3 + 2 * offset && run.answer != nil,
                        reason: index < 5 ? "equal" : "another value")
                    records.append(RunRecord(run, verdict))
                    samples.append(.init(student: "3m", system: system, trajectory: run, verdict: verdict))
                }
            }
            summary.add(system, student: "3m", parameters: 2_800_000, records)
            measured.append((system, records))
        }
        summary.compare("3m", measured)
        summary.average()
        return HTMLReport(
            title: "specimen", summary: summary, samples: samples,
            losses: [.init(name: "3m agent", values: (1...200).map { 3 / Double($0).squareRoot() })],
            tables: [
                ReportTable(
                    "What the students learned from",
                    columns: [
                        "Learned from", "Trajectories", "Kept",
                        "Dropped: told the reference answer before anything showed it",
                    ],
                    rows: [["agent", "1000", "738", "96"], ["cot <rag>", "1000", "990", "0"]], note: "Counts.")
            ])
    }

    private static func trajectory(_ system: String, _ family: AgentTask.Family, _ index: Int) -> Trajectory {
        let isMath = family == .math
        let task = AgentTask(
            id: "\(family)-\(index)",
            question: isMath
                ? "What is the sum of the first \(index + 3) odd numbers, and is it a square?"
                : "Who founded the town where the author of \"The Glass Orchard\" was born?",
            answers: [isMath ? "\((index + 3) * (index + 3))" : "Mira Voss"], family: family, split: "out",
            metadata: ["level": .integer(index % 3 + 1)])
        var run = Trajectory(task: task, provenance: Provenance(policy: system, model: "3m"))
        if system.hasPrefix("agent") {
            let program = """
                # the first odd numbers
                total = 0
                for n in range(\(index + 3)):
                    total += 2 * n + 1
                print("sum", total)
                """
            var step = Step(
                thought: "I add the odd numbers one by one and print the sum.", action: .code(program),
                observation: index % 5 == 4
                    ? Observation(
                        text: "NameError: name 'totl' is not defined (line 4)",
                        outcome: .executionError(type: "NameError", message: "totl"))
                    : Observation(text: "sum \((index + 3) * (index + 3))", outcome: .success))
            if system == "agent+sag" {
                step.candidates = [6, 6, 2].enumerated().map { place, votes in
                    Candidate(
                        thought: "", action: .code(place < 2 ? program : "print(7)"),
                        observation: Observation(text: "sum", outcome: .success),
                        votes: votes, chosen: place == 0)
                }
            }
            run.append(step)
        }
        if index == 11 {
            run.end(.gaveUp("no step was left"))
        } else {
            let answer: JSONValue = isMath ? .integer((index + 3) * (index + 3)) : "Mira Voss of Port Amsel"
            run.append(
                Step(
                    thought: "So the answer is clear.", action: .answer(answer),
                    observation: Observation(text: "", outcome: .final(answer))))
            run.end(.answered(answer))
        }
        return run
    }
}

/// Chromium without a window.
enum Browser {
    static let path = ["chromium", "chromium-browser", "google-chrome"].lazy
        .flatMap { name in ["/usr/bin", "/usr/local/bin", "/snap/bin"].map { "\($0)/\(name)" } }
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    /// The page after its script has run, and what its console says.
    static func dump(_ file: URL, fragment: String, in folder: URL) throws -> (html: String, console: [String]) {
        let url = file.absoluteString + "#" + fragment
        let (output, errors) = try run(["--dump-dom", url], in: folder)
        return (output, errors.split(separator: "\n").map(String.init).filter { $0.contains("CONSOLE") })
    }

    static func screenshot(_ file: URL, width: Int, to picture: URL, in folder: URL) throws {
        _ = try run(["--window-size=\(width),1800", "--screenshot=\(picture.path)", file.absoluteString], in: folder)
    }

    private static func run(_ arguments: [String], in folder: URL) throws -> (output: String, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path ?? "")
        process.arguments =
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--no-first-run", "--disable-extensions", "--disable-background-networking", "--enable-logging=stderr",
                "--user-data-dir=\(folder.appendingPathComponent("profile").path)", "--virtual-time-budget=2000",
                "--timeout=60000",
            ] + arguments
        // Files, not pipes: nothing blocks however much is written.
        let (output, errors) = (folder.appendingPathComponent("out"), folder.appendingPathComponent("err"))
        for file in [output, errors] { try Data().write(to: file) }
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        return (
            String(decoding: try Data(contentsOf: output), as: UTF8.self),
            String(decoding: try Data(contentsOf: errors), as: UTF8.self)
        )
    }
}
