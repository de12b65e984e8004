import RetortCore
import RetortStore
import Testing

@Suite("Tool drift")
struct ToolDriftTests {
    private let tools = [
        ToolSpecification(
            name: "search", summary: "Searches.",
            parameters: [
                .init("query", type: "string", summary: "What."),
                .init("limit", type: "integer", summary: "How many.", isRequired: false),
            ], returns: "string")
    ]

    private func trajectory(_ id: String, _ actions: [Action]) -> Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(id: id, question: "Q", answers: [], family: .factual),
            provenance: Provenance(policy: "teacher", model: "m"))
        for action in actions {
            trajectory.append(Step(thought: "", action: action, observation: Observation(text: "", outcome: .success)))
        }
        return trajectory
    }

    @Test("calls of other tools, other arguments and missing ones are counted by name")
    func names() {
        let one = trajectory(
            "a",
            [
                .toolCall(name: "search", arguments: ["query": "x", "limit": 3]),
                .toolCall(name: "find", arguments: [:]),
                .toolCall(name: "search", arguments: ["q": "x"]), .toolCall(name: "find", arguments: [:]),
            ])
        let drift = ToolDrift([one], tools: tools)
        #expect(drift.calls == 4)
        #expect(drift.strays.map(\.name) == ["find", "search.q", "search.query"])
        #expect(drift.strays.map(\.calls) == [2, 1, 1])
        #expect(drift.strays.map(\.kind) == [.tool, .argument, .missing])
        #expect(drift.description.contains("there is no tool 'find', in 2 calls (a/teacher/0)"))
    }

    @Test("of a program's calls, Python's own and those that it defines are no tools")
    func program() {
        let program = """
            import math
            from x import helper as h
            def double(n):
                return n * 2
            f = lambda a: a
            result = find("search(1)")  # lookup(2)
            print(math.sqrt(double(3)), h(1), f(2), search(query=str(result)))
            final_answer(result)
            """
        let drift = ToolDrift([trajectory("a", [.code(program)])], tools: tools)
        #expect(drift.strays.map(\.name) == ["find"])
    }

    @Test("a mapping renames tools and arguments in calls, and in programs the names that are called")
    func mapping() throws {
        let mapping = try ToolMapping(["find": "search", "find.q": "query"])
        let program = "x = find(q=\"find(1)\")  # find(2)\ny.find(3)\nprint(find)"
        let (mapped, left) = mapping.applied(to: [
            trajectory("a", [.toolCall(name: "find", arguments: ["q": "x", "limit": 1]), .code(program)])
        ])
        #expect(mapped[0].steps[0].action == .toolCall(name: "search", arguments: ["query": "x", "limit": 1]))
        #expect(mapped[0].steps[1].action.code == "x = search(q=\"find(1)\")  # find(2)\ny.find(3)\nprint(find)")
        #expect(left.programs == ["a/teacher/0"])
        #expect(ToolDrift([trajectory("b", [mapped[0].steps[0].action])], tools: tools).isEmpty)
    }

    @Test("a call that has both names stays as it was, and is told")
    func collision() throws {
        let call = Action.toolCall(name: "search", arguments: ["q": "x", "query": "y"])
        let (mapped, left) = try ToolMapping(["search.q": "query"]).applied(to: [trajectory("a", [call])])
        #expect(mapped[0].steps[0].action == call)
        #expect(left.collisions == ["a/teacher/0"])
    }

    @Test(
        "a mapping that has no meaning is refused",
        arguments: [
            ["find": "search.query"], ["find.q": "other.query"], ["a.x": "z", "a.y": "z"], ["find": ""],
            ["find.q": "search."], ["find.q": ".query"],
        ])
    func refused(names: [String: String]) {
        #expect(throws: ToolMappingError.self) { try ToolMapping(names) }
    }
}
