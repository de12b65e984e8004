/// What words before a number do with it: `half of 10`, `the square root of 16`, `20 percent of 50`, `less than 5`.
struct ProseOperation {
    /// The value in the form that the parser of answers reads, with `#` in place of the number.
    private let form: String
    /// Where its words begin.
    private let start: Int

    /// - Parameter number: the piece at which the number begins.
    init?(before number: Int, in runs: ProseRuns) {
        func word(_ offset: Int) -> String { runs.piece(number - offset)?.word ?? "" }
        for (words, form) in Self.forms where words.enumerated().allSatisfy({ word(words.count - $0) == $1 }) {
            (self.form, start) = (form, number - words.count)
            return
        }
        // `20% of 50`
        let sign = runs.piece(number - 2)
        guard word(1) == "of", sign?.isMark("%") == true || sign?.word == "percent", let share = runs.piece(number - 3),
            share.kind == .number
        else { return nil }
        (form, start) = ("\(share.text)/100*#", number - 3)
    }

    func applied(to run: ProseRun) -> ProseRun {
        var run = run
        run.text = form.replacing("#", with: "(\(run.text))")
        run.alternatives = []
        run.range = start..<run.range.upperBound
        return run
    }

    private static let forms: [([String], String)] = [
        (["square", "root", "of"], "(#)^{1/2}"), (["cube", "root", "of"], "(#)^{1/3}"), (["half", "of"], "#/2"),
        (["third", "of"], "#/3"),
        (["quarter", "of"], "#/4"), (["twice"], "2*#"), (["double"], "2*#"), (["triple"], "3*#"),
        (["reciprocal", "of"], "1/#"),
        (["absolute", "value", "of"], "|#|"), (["negative", "of"], "-#"), (["less", "than"], "<#"),
        (["greater", "than"], ">#"),
        (["multiple", "of"], "\\text{multiple of}#"), (["multiples", "of"], "\\text{multiples of}#"),
        (["other", "than"], "\\neq#"),
    ]
}
