import RetortCore
import RetortStore
import Testing

@testable import RetortServer

@Suite("Forms of the studio")
struct StudioFormTests {
    private let tool = ToolSpecification(
        name: "book", summary: "Books.",
        parameters: [
            .init("who", type: "string", summary: ""), .init("nights", type: "integer", summary: ""),
            .init("price", type: "number", summary: "", isRequired: false),
            .init("late", type: "boolean", summary: "", isRequired: false),
            .init("rooms", type: "array", summary: "", isRequired: false),
            .init("floor", type: "integer", summary: "", isRequired: false, schema: ["enum": [1, 2]]),
        ], returns: "string", effect: .external)

    @Test("a form is read as browsers write it")
    func reading() {
        let form = StudioForm("a=1+2&b=%2B%26%3d&c=&d&e=%C3%A9%0D%0Ax&broken=%zz%4")
        #expect(form.text("a") == "1 2" && form.text("b") == "+&=" && form.text("c") == nil && form.raw("c") == "")
        #expect(form.raw("d") == "" && form.text("e") == "é\nx" && form.text("broken") == "%zz%4")
        let address = StudioQuery.address("/x", [("a", "1+2 &=?#é"), ("b", nil)])
        #expect(StudioForm(String(address.dropFirst(3))).text("a") == "1+2 &=?#é")
    }

    @Test("a tool's form has a field of its kind for each parameter")
    func fields() {
        let form = ToolForm(tool)
        #expect(form.changes && form.fields.map(\.isRequired) == [true, true, false, false, false, false])
        #expect(form.fields.map(\.isLine) == [true, false, false, false, false, false])
        #expect(form.fields.map(\.isNumber) == [false, true, true, false, false, false])
        #expect(form.fields.map(\.isChoice) == [false, false, false, true, false, true])
        #expect(form.fields.map(\.isLong) == [false, false, false, false, true, false])
        #expect(form.fields[5].choices.map(\.value) == ["1", "2"])
    }

    @Test("what is typed becomes arguments of the parameters' types; what is empty and optional is left out")
    func arguments() throws {
        let form = StudioForm(
            "arg-who=Rosa&arg-nights=3&arg-price=2.5&arg-late=true&arg-rooms=%5B1%2C%22a%22%5D&arg-floor=2")
        #expect(
            try ToolForm.arguments(tool, form) == [
                "who": "Rosa", "nights": 3, "price": 2.5, "late": true, "rooms": [1, "a"], "floor": 2,
            ])
        #expect(
            try ToolForm.arguments(tool, StudioForm("arg-who=&arg-nights=1&arg-price=")) == ["who": "", "nights": 1])
        for wrong in [
            "arg-nights=x", "arg-nights=1.5", "arg-price=x", "arg-late=maybe", "arg-rooms=%5B1", "arg-floor=x",
        ] {
            #expect(throws: APIError.self, "\(wrong)") { try ToolForm.arguments(tool, StudioForm(wrong)) }
        }
    }

    @Test("mending changes what was written anew, and nothing else")
    func mending() throws {
        var trajectory = Trajectory(
            task: AgentTask(id: "t", question: "?", answers: [], family: .factual),
            provenance: Provenance(policy: "agent", model: "m"))
        for action in [Action.toolCall(name: "f", arguments: ["a": 1]), .unparsable(text: "hm", reason: "no program")] {
            trajectory.append(
                Step(
                    thought: "so", action: action, observation: Observation(text: "", outcome: .success),
                    transcript: .same))
        }
        trajectory.append(
            Step(thought: "", action: .code("x"), observation: Observation(text: "", outcome: .final("no"))))
        trajectory.end(.answered("no"))
        #expect(try TrajectoryMending.mended(trajectory, StudioForm("thought-0=so&answer=no")) == nil)
        let form = StudioForm("action-0=%7B%22a%22%3A2%7D&action-1=print(1)&answer=yes")
        let mended = try #require(try TrajectoryMending.mended(trajectory, form))
        #expect(
            mended.steps[0].action == .toolCall(name: "f", arguments: ["a": 2]) && mended.steps[0].transcript == nil)
        #expect(mended.steps[1].action == .code("print(1)") && mended.answer == "yes")
        #expect(mended.steps[2].observation.outcome == .final("yes"))
        #expect(throws: APIError.self) { try TrajectoryMending.mended(trajectory, StudioForm("action-0=nothing")) }
    }
}
