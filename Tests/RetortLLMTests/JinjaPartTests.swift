import Foundation
import RetortLLM
import Testing

/// The values are those of transformers 5.24 with Jinja 3.1.6.
@Suite("Chat templates in Jinja, part by part")
struct JinjaPartTests {
    private let tokenizer: Tokenizer

    init() throws { tokenizer = try Tokenizer(seedlings.appendingPathComponent("tokenizer")) }

    private static let data = #"""
        "d": {"items": {"type": "string"}, "get": 1, "a": 2}, "e": {"x": 1}, "xs": ["b", "A", "c", "B", "a"],
        "ms": [{"n": 1, "k": "z", "function": {"name": "g"}, "xs": [5]}, {"n": 2, "k": "Y", "function": {"name": "f"}, "xs": [6]}, {"n": 3, "k": "y", "function": {"name": "h"}, "xs": [7]}],
        "tree": [{"n": 1, "c": [{"n": 2}, {"n": 3}]}, {"n": 4}]
        """#

    /// What a template writes about the data above. It still ends turns, as every chat template must.
    private func written(_ template: String, messages: String = "[]") throws -> String {
        let chat = "{% for m in messages %}{{ '<|im_start|>' ~ m.content ~ '<|im_end|>' }}{% endfor %}"
        let guarded = "{% if tree is defined %}\(template)\u{1}{% else %}\(chat){% endif %}"
        let json = Data("{\"messages\": \(messages), \(Self.data)}".utf8)
        let text = try JinjaTemplate(guarded, tokenizer: tokenizer).text(json: json)
        return String(text.unicodeScalars.prefix { $0 != "\u{1}" })
    }

    @Test(
        "an attribute with dots goes down, in every filter that takes one",
        arguments: [
            (
                "{{ ms | map(attribute='function.name') | join(', ') }}",
                "g, f, h"
            ),
            (
                "{{ ms | selectattr('function.name', 'equalto', 'g') | map(attribute='n') | list }}",
                "[1]"
            ),
            (
                "{{ ms | sort(attribute='function.name') | map(attribute='n') | list }}",
                "[2, 1, 3]"
            ),
            (
                "{{ ms | join(',', attribute='function.name') }}",
                "g,f,h"
            ),
            (
                "{{ ms | map(attribute='xs.0') | list }}",
                "[5, 6, 7]"
            ),
            (
                "{{ ms | map(attribute='none.x', default='d') | list }}",
                "['d', 'd', 'd']"
            ),
            (
                "{{ ms | sum(attribute='n') }} {{ (ms | max(attribute='n')).n }}",
                "6 3"
            ),
            (
                "{{ ms | sort(attribute='k,n') | map(attribute='n') | list }}",
                "[2, 3, 1]"
            ),
            (
                "{{ ms | unique(attribute='k') | map(attribute='n') | list }}",
                "[1, 2]"
            ),
        ])
    func dotted(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "a mapping's methods come before members of their names, and behind a bracket after them",
        arguments: [
            (
                "{% for k, v in d.items() %}{{ k }};{% endfor %}",
                "items;get;a;"
            ),
            (
                "{{ d.items.type }}{{ d['items'].type }}",
                "string"
            ),
            (
                "{{ d.keys() | list }}",
                "['items', 'get', 'a']"
            ),
            (
                "{{ 'yes' if e['items'] else 'no' }}",
                "yes"
            ),
            (
                "{{ d.get('get') }} {{ d['get'] }}",
                "1 1"
            ),
            (
                "{{ e['nothing'] is defined }} {{ e.pop is defined }}",
                "False False"
            ),
        ])
    func members(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "sorting, distinct elements and extremes ignore case unless they are told not to",
        arguments: [
            (
                "{{ xs | sort }}",
                "['A', 'a', 'b', 'B', 'c']"
            ),
            (
                "{{ xs | sort(case_sensitive=true) }}",
                "['A', 'B', 'a', 'b', 'c']"
            ),
            (
                "{{ xs | sort(true) }}",
                "['c', 'b', 'B', 'A', 'a']"
            ),
            (
                "{{ xs | unique | list }}",
                "['b', 'A', 'c']"
            ),
            (
                "{{ xs | unique(true) | list }}",
                "['b', 'A', 'c', 'B', 'a']"
            ),
            (
                "{{ xs | min }}{{ xs | max }}{{ xs | min(case_sensitive=true) }}",
                "AcA"
            ),
            (
                "{{ [[2, 1], [1, 9], [1]] | sort }}",
                "[[1], [1, 9], [2, 1]]"
            ),
        ])
    func folding(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "filters and methods read all their arguments",
        arguments: [
            (
                "{{ {'b': 1, 'a': 2} | dictsort(by='value') }}",
                "[('b', 1), ('a', 2)]"
            ),
            (
                "{{ {'b': 1, 'a': 2} | dictsort(reverse=true) }}",
                "[('b', 1), ('a', 2)]"
            ),
            (
                "{{ [1, 2] | sum(start=10) }}",
                "13"
            ),
            (
                "{{ 2.675 | round(2) }} {{ 3 | round }} {{ 2.1 | round(method='ceil') }} {{ 2.19 | round(1, 'floor') }}",
                "2.67 3 3.0 2.1"
            ),
            (
                "{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('>>', true) }}",
                "a\n  \n  b|>>a\n>>b"
            ),
            (
                "{{ 'a b c'.split(none, 1) }}{{ 'a b c'.split(maxsplit=1) }}{{ 'a b  c'.rsplit(none, 1) }}",
                "['a', 'b c']['a', 'b c']['a b', 'c']"
            ),
            (
                "{{ 'abab'.find('b', 2) }}{{ 'abab'.count('a', 1) }}{{ 'abab'.startswith('b', 1) }}{{ 'abab'.rfind('b') }}",
                "31True3"
            ),
            (
                "{{ 'a\nb'.splitlines(true) }}",
                #"['a\n', 'b']"#
            ),
            (
                "{{ dict({'a': 1}, b=2) }} {{ dict([('a', 1)], **{'b': 3}) }}",
                "{'a': 1, 'b': 2} {'a': 1, 'b': 3}"
            ),
            (
                "{{ namespace({'a': 1}, b=2).a }}",
                "1"
            ),
            (
                "{{ '0x1F' | int(base=16) }} {{ 'x' | int(7) }}",
                "31 7"
            ),
            (
                "{{ 'aaa' | replace('a', 'b', 2) }}{{ 'ab' | replace('', '-') }}",
                "bba-a-b-"
            ),
        ])
    func arguments(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "a string's escapes are Python's",
        arguments: [
            (
                #"{{ '\x41\101\t\u0042\U0001F600' }}"#,
                "AA\tB😀"
            ),
            (
                #"{{ '\a\b\f\v\0' | tojson }}"#,
                #""\u0007\b\f\u000b\u0000""#
            ),
            (
                #"{{ '\q\'' }}"#,
                #"\q'"#
            ),
        ])
    func escapes(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "texts are cut at all of Python's line ends, and titles begin words where Jinja does",
        arguments: [
            (
                #"{{ 'a\r\nb\x0bc\x1cd\u2028e\n'.splitlines() }}"#,
                "['a', 'b', 'c', 'd', 'e']"
            ),
            (
                #"{{ "it's a-b (c" | title }}"#,
                "It's A-B (C"
            ),
            (
                #"{{ "it's a-b (c".title() }}"#,
                "It'S A-B (C"
            ),
            (
                #"{{ ' \x1ca '.strip() | length }}"#,
                "1"
            ),
        ])
    func lines(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "powers go from left to right, and a sign binds closer",
        arguments: [
            (
                "{{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 2 ** -1 }} {{ 3 * 'ab' }}{{ 2 * [1] }}",
                "4 64 0.5 ababab[1, 1]"
            ),
            (
                "{{ 0x1F + 0b11 + 0o7 }} {{ [[1, 2], 3].0.1 }} {{ 9007199254740994.0 }} {{ 1e16 }}",
                "41 2 9007199254740994.0 1e+16"
            ),
        ])
    func powers(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "tuples are no lists",
        arguments: [
            (
                "{{ (1, 2) }}{{ (1,) }}{{ () }}",
                "(1, 2)(1,)()"
            ),
            (
                "{{ (1, 2) == [1, 2] }} {{ (1, 2) == (1, 2) }} {{ 0 is sameas false }}",
                "False True False"
            ),
            (
                "{{ (1, 2) | tojson }}{{ e.items() | list }}",
                "[1, 2][('x', 1)]"
            ),
        ])
    func tuples(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "a macro reads defaults that name parameters, further arguments and what is around it",
        arguments: [
            (
                "{% macro a(x, y=x) %}{{ x }}{{ y }}{% endmacro %}{{ a(1) }}",
                "11"
            ),
            (
                "{% macro a(x) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ a(1, 2, z=3) }}",
                "(2,){'z': 3}"
            ),
            (
                "{% for i in [1, 2] %}{% macro a() %}{{ i }}{% endmacro %}{{ a() }}{% endfor %}",
                "12"
            ),
        ])
    func macros(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "blocks have variables of their own",
        arguments: [
            (
                "{% set x %}{% set q = 4 %}{{ q }}{% endset %}{{ x }}{{ q is defined }}",
                "4False"
            ),
            (
                "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
                "21"
            ),
            (
                "{% set x = 1 %}{% with x = 2, y = x %}{{ x }}{{ y }}{% endwith %}{{ x }}",
                "211"
            ),
        ])
    func scopes(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "comments, raw parts and carriage returns keep the blanks that they keep in Jinja",
        arguments: [
            (
                "a{# c +#}\nb",
                "a\nb"
            ),
            (
                "a{# c #}\nb",
                "ab"
            ),
            (
                "{% raw %}\na\n  {% endraw %}\nb",
                "\na\nb"
            ),
            (
                "x {%- raw -%} a {%- endraw -%} b",
                "xab"
            ),
            (
                "a {#-#} b",
                "a b"
            ),
            (
                "a\rb\r\nc",
                "a\nb\nc"
            ),
        ])
    func blanks(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "the less common statements are read",
        arguments: [
            (
                "{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
                "12123"
            ),
            (
                "{% for a in 1, 2 %}{{ a }}{% endfor %}",
                "12"
            ),
            (
                "{% set x | upper | replace('A', 'b') %}a{% endset %}{{ x }}",
                "b"
            ),
            (
                "{% filter upper %}a{% endfilter %}",
                "A"
            ),
            (
                "{% macro m(x) %}[{{ caller(x) }}]{% endmacro %}{% call(y) m(3) %}{{ y }}!{% endcall %}",
                "[3!]"
            ),
            (
                "{% for t in tree recursive %}{{ t.n }}{{ loop.depth }}{% if t.c %}({{ loop(t.c) }}){% endif %}{% endfor %}",
                "11(2232)41"
            ),
            (
                "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}",
                "TrueFalseTrue"
            ),
        ])
    func statements(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "the less common filters are read",
        arguments: [
            (
                "{{ '%s is %d, %05.1f' | format('a', 3, 2.25) }}{{ '%(a)s' | format(a=1) }}",
                "a is 3, 002.21"
            ),
            (
                "{% for k, g in ms | groupby('k') %}{{ k }}{{ g | map(attribute='n') | list }}{% endfor %}",
                "Y[2, 3]z[1]"
            ),
            (
                "{% for g in ms | groupby('k') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}",
                "Y2z1"
            ),
            (
                "{{ '<a&b>' | e }}{{ e | attr('x') is defined }}",
                "&lt;a&amp;b&gt;False"
            ),
            (
                "{{ [1, 2, 3] | batch(2, 'x') | list }}",
                "[[1, 2], [3, 'x']]"
            ),
            (
                #"{{ "it's a b" | wordcount }}"#,
                "4"
            ),
            (
                "{{ 'ab' | center(5) }}|",
                "  ab |"
            ),
            (
                "{{ missing | items | list }}",
                "[]"
            ),
        ])
    func filters(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "strings have Python's formats and methods",
        arguments: [
            (
                "{{ '%s %r %5.2f|%-4d|%x|%%' % ('a', 'b', 1.5, 7, 255) }}",
                "a 'b'  1.50|7   |ff|%"
            ),
            (
                "{{ '%(a)s' % {'a': 1} }}",
                "1"
            ),
            (
                "{{ '{} {a:>4} {b[k]:.2f} {{}}'.format(1, a='x', b={'k': 2}) }}",
                "1    x 2.00 {}"
            ),
            (
                "{{ '{:,}|{:<5}|{:^5}|{:05d}|{:+}|{:.1%}|{!r}'.format(1234567, 'a', 'b', -7, 3, 0.5, 'c') }}",
                "1,234,567|a    |  b  |-0007|+3|50.0%|'c'"
            ),
            (
                "{{ 'a-b-c'.partition('-') }}{{ 'a-b-c'.rpartition('-')[2] }}{{ 'ab'.zfill(4) }}{{ '-1'.zfill(4) }}{{ 'ab'.ljust(3, '.') }}",
                "('a', '-', 'b-c')c00ab-001ab."
            ),
            (
                "{{ 'abc'.index('c') }}{{ 'A1'.isupper() }}{{ 'a'.isalpha() }}{{ 'a1'.isalnum() }}{{ '²'.isdigit() }}{{ ' '.isspace() }}",
                "2TrueTrueTrueTrueTrue"
            ),
        ])
    func formats(template: String, expected: String) throws { #expect(try written(template) == expected) }

    @Test(
        "what is not read is refused",
        arguments: [
            "{{ [1] | sum(begin=1) }}", "{{ 'a' | upper(1) }}", "{{ 'a'.strip(1) }}", "{{ [1] | sort(key='a') }}",
            "{% macro a(x) %}{% endmacro %}{{ a(1, 2) }}", "{% macro a(x) %}{% endmacro %}{{ a(y=2) }}",
            "{{ '%d' % 'a' }}", "{{ '%s' % (1, 2) }}", "{{ '{}'.format() }}", "{{ 1.5 | round(1, 'up') }}",
            #"{{ '\x4' }}"#, #"{{ '\N{DASH}' }}"#, "{{ dict([1]) }}", "{{ range(3, step=2) }}",
            "{% for x in [1] %}{{ loop([2]) }}{% endfor %}", "{{ '%99999999d' % 1 }}", "{{ 'a'.ljust(99999999) }}",
            "{% for x in [[]] recursive %}{{ loop([x]) }}{% endfor %}", "{{ [1] * 99999999 }}",
        ])
    func refused(template: String) { #expect(throws: JinjaError.self) { try written(template) } }

    @Test("a date is written by every code of Python's strftime")
    func dates() throws {
        let chat = "{% for m in messages %}{{ '<|im_start|>' ~ m.content ~ '<|im_end|>' }}{% endfor %}"
        let template = try JinjaTemplate(
            "{{ strftime_now('%-d.%-m. %e|%F %T|%I %p|%j %A %b|%y%%|%z%Z|%f') }}\u{1}" + chat, tokenizer: tokenizer,
            date: Date(timeIntervalSince1970: 1_704_445_629.25))
        let text = try template.text(json: Data(#"{"messages": []}"#.utf8))
        #expect(text.hasPrefix("5.1.  5|2024-01-05 09:07:09|09 AM|005 Friday Jan|24%||250000\u{1}"))
    }

    @Test(
        "messages lose members that are null, and a thought has every name that templates read",
        arguments: [
            (#"{"role": "user", "content": null, "tool_calls": null}"#, #"{"role": "user"}"#),
            (
                #"{"role": "user", "content": "", "reasoning": "R"}"#,
                #"{"thinking": "R", "role": "user", "content": "", "reasoning": "R", "reasoning_content": "R"}"#
            ),
            (
                #"{"reasoning_content": null, "role": "user", "thinking": "T"}"#,
                #"{"thinking": "T", "role": "user", "reasoning_content": "T"}"#
            ),
            (
                #"{"reasoning_content": "A", "thinking": "T", "tool_calls": [{"a": null}]}"#,
                #"{"thinking": "T", "reasoning_content": "A", "tool_calls": [{"a": null}]}"#
            ),
        ])
    func messages(message: String, expected: String) throws {
        #expect(try written("{{ messages[0] | tojson }}", messages: "[\(message)]") == expected)
    }
}
