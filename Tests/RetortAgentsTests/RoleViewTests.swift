import RetortAgents
import RetortCore
import Testing

let weather = ToolDocument(
    name: "weather", function: "Tells the weather.", input: ["city": "string"],
    schema: ["type": "object", "properties": ["city": ["type": "string"]], "required": ["city"]])

func apiTask(_ question: String = "How warm is it in Tarn?") -> AgentTask {
    var task = AgentTask(id: "w", question: question, answers: ["7"], family: .factual)
    task.tools = [weather]
    return task
}

private func call(_ city: String, thought: String = "I need the weather.", wording: String? = nil) -> Step {
    Step(
        speaker: "planner", thought: thought,
        action: .toolCall(name: "weather", arguments: ["city": .string(city)]),
        observation: Observation(text: "{\"degrees\":7}", outcome: .success), wording: wording)
}

private func conclusion(_ text: String) -> Step {
    Step(
        speaker: "planner", thought: "It is known.", action: .answer(.string(text)),
        observation: Observation(text: "", outcome: .final(.string(text))))
}

private func trajectory(_ steps: [Step]) -> Trajectory {
    var trajectory = Trajectory(task: apiTask(), provenance: Provenance(policy: "umi", model: "m"))
    for step in steps { trajectory.append(step) }
    if let ending = steps.last?.ending { trajectory.end(ending) }
    return trajectory
}

@Suite("Role views")
struct RoleViewTests {
    @Test("each role learns its own words, one example a turn")
    func targets() {
        let whole = trajectory([call("Tarn"), conclusion("7 degrees")])
        func targets(_ role: AgentRole) -> [String] {
            RoleView(role, instructions: .brief).examples(for: whole).compactMap { $0.last?.text }
        }
        #expect(targets(.planner) == ["I need the weather.\n Next: caller.", "It is known.\n Next: conclusion."])
        #expect(targets(.caller) == ["Action: weather\nAction Input: {\"city\":\"Tarn\"}"])
        #expect(targets(.summarizer) == ["7 degrees"])
        #expect(
            targets(.backbone) == [
                "I need the weather.\nAction: weather\nAction Input: {\"city\":\"Tarn\"}",
                "It is known.\nconclusion: 7 degrees",
            ])
    }

    @Test("giving up, an empty thought and the wording of a published call are kept to the letter")
    func wording() {
        let odd = "Action: weather\nAction Input: {\n  \"city\": \"Tarn\"\n}"
        let end = Step(thought: "", action: .giveUp(reason: ""), observation: Observation(text: "", outcome: .success))
        let whole = trajectory([call("Tarn", thought: "", wording: odd), end])
        func targets(_ role: AgentRole) -> [String] {
            RoleView(role, instructions: .brief).examples(for: whole).compactMap { $0.last?.text }
        }
        #expect(targets(.planner) == [" Next: caller.", " Next: give up."])
        #expect(targets(.caller) == [odd])
        #expect(targets(.backbone) == ["\n\(odd)", "\nconclusion: give up."])
        #expect(targets(.summarizer).isEmpty)
    }

    @Test("only the target is trainable, and the prompt is the one the role is given while acting")
    func prompts() {
        let steps = [call("Tarn"), call("Fenn"), conclusion("7")]
        for role in AgentRole.allCases {
            let view = RoleView(role, instructions: .brief)
            for example in view.examples(for: trajectory(steps)) {
                #expect(example.last?.endsTrainable == true)
                #expect(example.dropLast().allSatisfy { $0.spans.allSatisfy { !$0.trainable } })
            }
        }
        let before = trajectory([steps[0]])
        let plan = RoleWords.planner(steps[1].thought, .caller)
        #expect(
            RoleView(.caller, instructions: .brief).examples(for: trajectory(steps))[1].dropLast()
                == RoleView(.caller, instructions: .brief).messages(for: before, remark: nil, plan: plan)[...])
        #expect(
            RoleView(.planner, instructions: .brief).examples(for: trajectory(steps))[1].dropLast()
                == RoleView(.planner, instructions: .brief).messages(for: before)[...])
    }

    @Test(
        "a view of shorter observations shows less, says so, and has the same turns to learn",
        arguments: AgentRole.allCases)
    func shorter(role: AgentRole) {
        var long = call("Tarn")
        long.observation.text = String(repeating: "x", count: 600)
        let work = trajectory([long, call("Fenn"), conclusion("7")])
        let whole = RoleView(role, instructions: .brief)
        let shorter = whole.showing(observationsUpTo: 120)
        let (before, after) = (whole.examples(for: work), shorter.examples(for: work))
        #expect(before.count == after.count && before.map(\.last) == after.map(\.last))
        #expect(before.map { $0.first?.text } == after.map { $0.first?.text } || role == .summarizer)
        let (seen, told) = (before.last.map { $0[$0.count - 2].text }, after.last.map { $0[$0.count - 2].text })
        #expect(seen?.contains(String(repeating: "x", count: 600)) == true)
        #expect(told?.contains(String(repeating: "x", count: 121)) == false && told?.contains("480") == true)
        // More is not shown than the view itself shows.
        #expect((whole.showing(observationsUpTo: 10_000) as? RoleView)?.observationLimit == whole.observationLimit)
    }

    @Test("planner and caller see the tools, the summarizer does not; their prompts begin alike")
    func documents() {
        let open = trajectory([call("Tarn")])
        let planner = RoleView(.planner, instructions: .brief).messages(for: open)
        let caller = RoleView(.caller, instructions: .brief).messages(for: open, remark: nil, plan: "So.")
        #expect(planner[0] == caller[0])
        #expect(planner[0].text == "weather(city): Tells the weather.")
        #expect(Array(planner[1].spans.dropLast()) == Array(caller[1].spans.prefix(planner[1].spans.count - 1)))
        let full = RoleView(.caller, instructions: .full).messages(for: open, remark: nil, plan: "So.")
        #expect(full[0].text.contains(weather.line))
        #expect(!full[0].text.contains("schema"))
        #expect(full[1].text.contains("one of weather\n"))
        #expect(!RoleView(.planner, instructions: .full).messages(for: open)[1].text.contains("one of weather"))
        let summarizer = RoleView(.summarizer, instructions: .brief).messages(for: open, remark: nil, plan: "So.")
        #expect(!summarizer.contains { $0.text.contains("Tells the weather") })
    }

    @Test("long observations are cut where one can see it, in the view and not in the record")
    func observations() {
        var long = call("Tarn")
        long.observation.text = String(repeating: "x", count: 3000)
        let text = RoleView(.planner, instructions: .brief, observationLimit: 1000)
            .messages(for: trajectory([long]))[1].text
        #expect(text.contains(String(repeating: "x", count: 1000) + "… [2000 characters left out]"))
        #expect(trajectory([long]).steps[0].observation.text.count == 3000)
    }

    @Test("calls of made-up functions and empty answers are not learned, though the single model sees the former")
    func leftOut() {
        var invented = call("Tarn")
        invented.action = .toolCall(name: RoleView.inventedName, arguments: [:])
        let whole = trajectory([invented, conclusion("none")])
        #expect(RoleView(.planner, instructions: .brief).examples(for: whole).count == 1)
        #expect(RoleView(.caller, instructions: .brief).examples(for: whole).isEmpty)
        #expect(RoleView(.summarizer, instructions: .brief).examples(for: whole).isEmpty)
        #expect(RoleView(.backbone, instructions: .brief).examples(for: whole).count == 2)
    }

    @Test("what the user said in between stands before the step it was said for")
    func remarks() {
        var second = call("Fenn")
        second.remarks = ["Try another city."]
        let whole = trajectory([call("Tarn"), second, conclusion("7")])
        let examples = RoleView(.planner, instructions: .brief).examples(for: whole)
        #expect(!examples[0][1].text.contains("Try another"))
        #expect(examples[1][1].text.contains("user: Try another city.\nPlan."))
        #expect(examples[2][1].text.contains("user: Try another city.\nplanner: I need"))
    }

    @Test("program-aided: the caller writes Python, and a program that answers is a conclusion")
    func programs() {
        let step = Step(
            thought: "I add.", action: .code("print(1 + 1)"), observation: Observation(text: "2", outcome: .success))
        let end = Step(
            thought: "Done.", action: .code("final_answer(2)"), observation: Observation(text: "", outcome: .final(2)))
        let whole = trajectory([step, end])
        let caller = RoleView(.caller, instructions: .brief, callForm: .program).examples(for: whole)
        #expect(caller.compactMap { $0.last?.text } == ["```py\nprint(1 + 1)\n```"])
        let summarizer = RoleView(.summarizer, instructions: .brief, callForm: .program).examples(for: whole)
        #expect(summarizer.compactMap { $0.last?.text } == ["2"])
    }
}

@Suite("Role parser")
struct RoleParserTests {
    @Test(
        "the first decision counts, and the caller's turn comes when there is none",
        arguments: [
            ("I look.\n Next: caller.", "I look.", RoleDecision.caller),
            ("I know. Next: conclusion. Next: caller.", "I know.", .conclusion),
            ("No way.\nnext: give up", "No way.", .giveUp), ("I wonder.", "I wonder.", .caller),
            (" Next: caller.", "", .caller),
        ])
    func plans(text: String, thought: String, decision: RoleDecision) {
        let plan = RoleParser.plan(text)
        #expect(plan.thought == thought)
        #expect(plan.decision == decision)
    }

    @Test(
        "calls are read as the original reads them",
        arguments: [
            (
                "Action: weather\nAction Input: {\"city\":\"Tarn\"}",
                Action.toolCall(name: "weather", arguments: ["city": "Tarn"])
            ),
            ("Action: weather", .toolCall(name: "weather", arguments: [:])),
            ("Action Input: {}", .toolCall(name: "none", arguments: [:])),
            ("", .toolCall(name: "none", arguments: [:])),
            ("Action: a\nAction: b\nAction Input: {}", .toolCall(name: "b", arguments: [:])),
        ])
    func calls(text: String, action: Action) { #expect(RoleParser.call(text).action == action) }

    @Test("an input that is no object is kept as it was written", arguments: ["{\"city\": ", "[1]", "\"x\"", "Tarn"])
    func broken(input: String) {
        let text = "Action: weather\nAction Input: \(input)"
        guard case .unparsable(text, let reason) = RoleParser.call(text).action else {
            Issue.record("\(RoleParser.call(text))")
            return
        }
        #expect(reason.contains("JSON object"))
    }

    @Test("what the single model writes comes back", arguments: [0, 1, 2])
    func backbone(index: Int) {
        let steps = [
            call("Tarn"), conclusion("7: \"Action\" taken"),
            Step(thought: "No.", action: .giveUp(reason: ""), observation: Observation(text: "", outcome: .success)),
        ]
        let turn = RoleParser.backboneTurn(RoleWords.backbone(steps[index]), callForm: .json)
        #expect(turn.thought == steps[index].thought)
        #expect(turn.action == steps[index].action)
    }
}
