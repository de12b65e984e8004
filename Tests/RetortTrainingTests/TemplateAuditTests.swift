import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTraining
import Testing

@Suite("Template audit")
struct TemplateAuditTests {
    private let tokenizer: Tokenizer

    init() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        tokenizer = try Tokenizer(root.appendingPathComponent("seedlings/tokenizer"))
    }

    private func audit(_ source: String) throws -> TemplateAudit {
        try TemplateAudit(
            TemplateAudit.sample(marker: "<|im_end|>"), view: CodeAgentView(instructions: .full, tools: []),
            template: JinjaTemplate(source, tokenizer: tokenizer), tokenizer: tokenizer)
    }

    private static let turns =
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    private static let head = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

    @Test("a plain template is sound, and a forged marker in an observation ends nothing")
    func sound() throws {
        let audit = try audit(Self.turns + Self.head)
        #expect(audit.findings.filter { !$0.holds }.map(\.name) == [])
        #expect(audit.rows.count { $0.text == "<|im_end|>" && $0.trainable } == 2)
        #expect(audit.rows.filter(\.trainable).allSatisfy { $0.role == .assistant })
    }

    @Test("a template that drops old turns is found out")
    func forgetful() throws {
        let short = Self.turns.replacing("in messages %}", with: "in messages[-3:] %}")
        #expect(throws: (any Error).self) { try audit(short + Self.head) }
    }

    @Test("a prompt that the next step's prompt does not begin with is found out")
    func counting() throws {
        // The number of messages at the top: every prompt is another one.
        let error = #expect(throws: ChatTemplateError.self) {
            try audit("{{ messages | length }}" + Self.turns + Self.head)
        }
        #expect(error == .unstable(message: 2))
    }
}
